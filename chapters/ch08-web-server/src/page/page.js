// Draws the beats as they come, asks the server for what is pressed, and shows what the server counts.
//
// Only the browser's clock is used, so that the strip goes on while the server stands still. The words are in the
// page's <template id="texts">.
'use strict';
(() => {
    const PERIOD = 0.1; // seconds between two beats, asked of the server
    const GAP = 3 * PERIOD; // a longer time without a beat is worth a word
    const WIDE = 600; // pixels: a narrower strip shows less time, so that each beat is seen
    const WINDOW = { wide: 15, narrow: 7 }; // seconds that the strip shows
    const AXIS = { wide: 5, narrow: 2 }; // seconds between two marks of its axis
    const CONNECTIONS = 6; // what a browser opens to one host
    const AT_ONCE = CONNECTIONS - 2; // the beats have one of them, the numbers have one
    const OUTSTANDING_MAX = 24; // requests that are not answered
    const LISTED_MAX = 12; // requests that are shown, unless more are not answered
    const POLL = 0.5; // seconds between two polls
    const RETRY = 2; // seconds before a refused connection is tried again
    const WORDS = 0.1; // seconds between two changes of the figures
    const FRAME = 0.033; // seconds between two drawings
    const FRAME_STILL = 1; // the same for who asks for less motion

    const byId = (id) => document.getElementById(id);
    const now = () => performance.now() / 1000;
    const pause = (seconds) => new Promise((resume) => setTimeout(resume, Math.max(0, seconds) * 1000));

    const texts = Object.fromEntries([...byId('texts').content.querySelectorAll('[data-text]')]
        .map((element) => [element.dataset.text, element.textContent]));
    const say = (name, values = {}) => texts[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
    const decimals = (count) => new Intl.NumberFormat(document.documentElement.lang,
        { minimumFractionDigits: count, maximumFractionDigits: count }).format;
    const tenths = decimals(1);
    const thousandths = decimals(3);
    const whole = decimals(0);

    // A live region is read aloud when it is written to, even with what it says already.
    const write = (element, text) => {
        if (element.textContent !== text) {
            element.textContent = text;
        }
    };
    const writeFigure = (element, value, format) => {
        element.value = String(value);
        write(element, format(value));
    };

    // The beats. A mark is a beat or the loss of the connection, which is followed by no gap.
    const marks = [];
    const beats = { state: 'connecting', longest: 0, worker: undefined };

    const lastMark = () => marks.at(-1);
    const silentFor = (time) => (lastMark()?.beat ? time - lastMark().at : 0);

    function addMark(mark) {
        if (lastMark()?.beat) {
            addGap(lastMark().at, mark.at);
        }
        marks.push(mark);
        if (heldAt === undefined) {
            const kept = marks.findIndex(({ at }) => at > mark.at - WINDOW.wide);
            marks.splice(0, Math.max(0, kept - 1)); // what the strip shows first began before it
        }
    }

    function addGap(from, to) {
        beats.longest = Math.max(beats.longest, to - from);
        for (const request of requests.filter(({ sent, settled }) => sent !== undefined && !settled)) {
            if (from < (request.ended ?? Infinity)) {
                request.gap = Math.max(request.gap, to - from);
            }
            settle(request);
        }
    }

    function connect() {
        const source = new EventSource(`/events?seconds=${PERIOD}`);
        source.onmessage = (event) => {
            const [time, before] = [now(), beats.state];
            const gap = silentFor(time);
            addMark({ at: time, beat: true });
            beats.state = 'beating';
            beats.worker = JSON.parse(event.data).worker;
            if (gap > GAP) {
                write(byId('status'), say('again', { seconds: tenths(gap) }));
            } else if (before !== 'beating') {
                write(byId('status'), say('beating'));
            }
        };
        source.onerror = () => {
            if (beats.state !== 'lost') {
                addMark({ at: now(), beat: false });
            }
            beats.state = 'lost';
            write(byId('status'), say('lost'));
            // The browser itself tries again where nobody listens, and not where it was refused.
            if (source.readyState === EventSource.CLOSED) {
                setTimeout(connect, RETRY * 1000);
            }
        };
    }

    // The requests of this page.
    const requests = [];
    const outstanding = () => requests.filter(({ ended }) => ended === undefined);
    const onTheirWay = () => outstanding().filter(({ sent }) => sent !== undefined);
    let answeredBy;

    function ask(button) {
        const { ask: kind, where } = button.dataset;
        const fields = (kind === 'fib' ? ['n'] : ['seconds', 'count']).map(byId);
        if (!fields.every((field) => field.reportValidity())) {
            return;
        }
        const [first, count] = fields.map((field) => field.valueAsNumber);
        for (let left = count ?? 1; left > 0; left -= 1) {
            if (outstanding().length >= OUTSTANDING_MAX) {
                write(byId('said'), say('enough', { count: whole(OUTSTANDING_MAX) }));
                break;
            }
            add(kind === 'fib'
                ? { name: where, what: say('fib', { n: whole(first), where }), url: `/fib/${first}?where=${where}` }
                : { name: kind, what: say('ping', { kind, seconds: first }), url: `/${kind}-ping?seconds=${first}` });
        }
        sendWhatMay();
        showRequests();
    }

    function add(request) {
        const item = byId('request').content.firstElementChild.cloneNode(true);
        item.dataset.name = request.name;
        item.querySelector('.what').textContent = request.what;
        byId('requests').prepend(item);
        requests.unshift({ ...request, item, asked: now(), state: 'queued', gap: 0, settled: false });
        const old = requests.findLastIndex(({ settled }) => settled);
        if (requests.length > LISTED_MAX && old > 0) {
            requests.splice(old, 1)[0].item.remove();
        }
    }

    function sendWhatMay() {
        while (onTheirWay().length < AT_ONCE) {
            const next = requests.findLast(({ state }) => state === 'queued');
            if (!next) {
                return;
            }
            send(next);
        }
    }

    async function send(request) {
        const taken = onTheirWay().map(({ lane }) => lane);
        request.lane = [...Array(AT_ONCE).keys()].find((lane) => !taken.includes(lane));
        request.state = 'waiting';
        request.sent = now();
        lockPrediction(request);
        try {
            // Of two requests for the same thing, a browser holds the second back until its cache has the first.
            const response = await fetch(request.url, { cache: 'no-store' });
            const answer = await response.json();
            request.worker = answeredBy = response.headers.get('x-worker');
            request.state = response.ok ? 'answered' : 'refused';
            request.status = response.status;
            request.answer = answer;
        } catch {
            request.state = 'failed';
        }
        request.ended = now();
        if (!lastMark()?.beat) {
            settle(request); // no beat is awaited that could still tell of a gap
        }
        sendWhatMay();
        showRequests();
        write(byId('said'), say('said', { what: request.what, state: stateOf(request) }));
    }

    // The gap during a request is known at the first beat after its answer.
    function settle(request) {
        if (request.ended !== undefined) {
            request.settled = true;
            showOutcome(request);
        }
    }

    function stateOf(request) {
        const seconds = tenths((request.ended ?? now()) - (request.sent ?? request.asked));
        const { worker, status, answer } = request;
        return say(request.state, { seconds, worker, status, error: answer?.error });
    }

    function showRequests() {
        for (const request of requests) {
            const { item, answer } = request;
            item.dataset.state = request.state;
            item.toggleAttribute('data-settled', request.settled);
            write(item.querySelector('.state'), stateOf(request));
            if (request.state === 'answered' && answer.value !== undefined) {
                const values = { value: whole(answer.value), seconds: thousandths(answer.seconds) };
                write(item.querySelector('.result'), say('value', values));
            }
            if (request.sent !== undefined) {
                // A running gap began before the answer, or it is none of this request's.
                const runs = !request.settled && lastMark()?.at < (request.ended ?? Infinity);
                const gap = Math.max(request.gap, runs ? silentFor(now()) : 0);
                writeFigure(item.querySelector('.meanwhile data'), gap, tenths);
                item.toggleAttribute('data-gap', gap > GAP);
            }
        }
        const unsent = outstanding().length - onTheirWay().length;
        writeFigure(byId('own'), outstanding().length, whole);
        write(byId('unsent'), unsent > 0 ? say('unsent', { count: whole(unsent) }) : '');
        write(byId('answered-by'), answeredBy ?? '–');
    }

    // The prediction: the first terrible request settles it.
    let predicting;

    function lockPrediction(request) {
        if (predicting === undefined && request.name === 'terrible') {
            predicting = request;
            document.querySelectorAll('#predict input').forEach((choice) => {
                choice.disabled = true;
            });
        }
    }

    function showOutcome(request) {
        if (predicting !== request) {
            return;
        }
        if (request.state !== 'answered') {
            predicting = undefined;
            write(byId('outcome'), say('outcome-unknown'));
            document.querySelectorAll('#predict input').forEach((choice) => {
                choice.disabled = false;
            });
            return;
        }
        const stopped = request.gap > GAP;
        byId('outcome').dataset.outcome = stopped ? 'stop' : 'on';
        const chosen = document.querySelector('#predict input:checked')?.value;
        const words = stopped
            ? [say('outcome-stop', { seconds: tenths(request.gap) }), chosen ? say(`chose-${chosen}`) : '']
            : [say(request.worker === String(beats.worker) ? 'outcome-thread' : 'outcome-worker',
                { sleeper: request.worker, worker: beats.worker })];
        write(byId('outcome'), words.join(' '));
    }

    // What the server counts.
    const poll = { state: 'none', since: undefined, answered: undefined };
    let stats;

    async function pollForEver() {
        for (;;) {
            poll.since = now();
            try {
                const response = await fetch('/stats', { cache: 'no-store' });
                poll.state = response.ok ? 'fresh' : 'refused';
                if (response.ok) {
                    stats = await response.json();
                    poll.answered = now();
                    showStats();
                }
            } catch {
                poll.state = 'lost';
            }
            const rest = poll.state === 'lost' ? RETRY : poll.since + POLL - now();
            poll.since = undefined;
            await pause(rest);
        }
    }

    function showStats() {
        writeFigure(byId('in-flight'), stats.in_flight, whole);
        const { tokens, taken, waiting } = stats.pool;
        byId('tokens').max = tokens;
        byId('tokens').value = taken;
        write(byId('tokens-text'), say('tokens', { tokens: whole(tokens), taken: whole(taken), waiting: whole(waiting) }));
        write(byId('connections'), whole(stats.connections));
        const { count, longest_ms: longest } = stats.stalls;
        const stalls = { count: whole(count), seconds: tenths(longest / 1000) };
        write(byId('stalls'), say(count > 0 ? 'stalls' : 'stalls-none', stalls));
        write(byId('threads'), stats.threads === null ? say('unknown') : whole(stats.threads));
        write(byId('loop-threads'), whole(stats.loop_threads));
    }

    function showPoll(time) {
        const silent = poll.since === undefined ? 0 : time - poll.since;
        const state = silent > POLL ? 'late' : poll.state; // the next poll would be due
        byId('poll').dataset.state = state;
        byId('numbers').classList.toggle('stale', state !== 'fresh');
        const seconds = tenths(state === 'late' ? silent : time - (poll.answered ?? time));
        write(byId('poll'), say(`poll-${state}`, { seconds, worker: stats?.worker }));
    }

    function showFigures() {
        const time = now();
        if (beats.state === 'beating' && silentFor(time) > GAP) {
            beats.state = 'silent';
            write(byId('status'), say('silent'));
        }
        if (marks.length > 0) {
            const lastBeat = marks.findLast(({ beat }) => beat);
            if (lastBeat) {
                writeFigure(byId('last-beat'), time - lastBeat.at, tenths);
            }
            writeFigure(byId('longest-gap'), Math.max(beats.longest, silentFor(time)), tenths);
        }
        write(byId('beats-by'), String(beats.worker ?? '–'));
        showPoll(time);
        showRequests();
    }

    // The strip, from above: what a gap is called, the beats, the requests, the axis.
    const canvas = byId('strip');
    const pen = canvas.getContext('2d');
    const BEATS = { top: 20, bottom: 62 };
    const LANE = { top: 67, height: 15, pitch: 16 };
    const AXIS_BOTTOM = 148;
    const MARGIN = 4;
    let heldAt;
    let colour;
    let size;
    let span; // narrow or wide

    function measure() {
        const style = getComputedStyle(canvas);
        const variable = (name) => style.getPropertyValue(`--${name}`).trim();
        colour = Object.fromEntries(['fg', 'soft', 'line', 'panel', 'beat', 'gap', 'gap-fill', 'bar', 'bar-edge']
            .map((name) => [name, variable(name)]));
        size = { width: canvas.clientWidth, height: canvas.clientHeight, font: style.font };
        span = size.width < WIDE ? 'narrow' : 'wide';
        canvas.width = Math.round(size.width * devicePixelRatio);
        canvas.height = Math.round(size.height * devicePixelRatio);
        draw();
    }

    function draw() {
        const time = heldAt ?? now();
        const scale = (size.width - 2 * MARGIN) / WINDOW[span];
        const x = (at) => size.width - MARGIN - (time - at) * scale;
        const seen = (at) => Math.max(0, x(at));
        pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
        pen.clearRect(0, 0, size.width, size.height);
        pen.font = size.font;
        pen.lineWidth = 1;
        drawAxis(x, time);
        drawGaps(seen, time);
        pen.fillStyle = colour.beat;
        for (const { at } of marks.filter(({ at, beat }) => beat && at <= time && x(at) >= 0)) {
            pen.fillRect(Math.round(x(at)) - 1, BEATS.top + 8, 2, BEATS.bottom - BEATS.top - 8);
        }
        drawRequests(seen, time);
    }

    function drawAxis(x, time) {
        pen.fillStyle = colour.line;
        pen.fillRect(0, BEATS.bottom, size.width, 1);
        pen.textBaseline = 'bottom';
        for (let ago = 0; ago <= WINDOW[span]; ago += AXIS[span]) {
            const at = x(time - ago);
            pen.fillStyle = colour.line;
            pen.fillRect(Math.round(at), BEATS.bottom, 1, AXIS_BOTTOM - 15 - BEATS.bottom);
            pen.fillStyle = colour.soft;
            pen.textAlign = ago === 0 ? 'right' : ago === WINDOW[span] ? 'left' : 'center';
            const words = ago === 0 ? say('strip-now') : say('strip-ago', { seconds: whole(ago) });
            pen.fillText(words, at, AXIS_BOTTOM);
        }
        pen.textAlign = 'left';
    }

    function silences(time) {
        const past = marks.filter(({ at }) => at <= time);
        return past.map((mark, index) => {
            const next = past[index + 1];
            const seconds = (next?.at ?? time) - mark.at;
            if (!mark.beat) {
                return { from: mark.at, to: next?.at ?? time, words: say('strip-lost') };
            }
            return seconds > GAP && {
                from: mark.at,
                to: next?.at ?? time,
                gap: true,
                words: say(next ? 'strip-gap' : 'strip-silent', { seconds: tenths(seconds) }),
                short: say('strip-gap-short', { seconds: tenths(seconds) }),
            };
        }).filter((silence) => silence && silence.to > time - WINDOW[span]);
    }

    function drawGaps(seen, time) {
        let free = size.width; // where the words of a later gap begin
        pen.textBaseline = 'top';
        for (const { from, to, gap, words, short } of silences(time).reverse()) {
            const [left, right] = [seen(from), seen(to)];
            pen.fillStyle = gap ? colour['gap-fill'] : colour.panel;
            pen.fillRect(left, BEATS.top, right - left, BEATS.bottom - BEATS.top);
            pen.strokeStyle = gap ? colour.gap : colour.soft;
            pen.setLineDash(gap ? [] : [4, 4]);
            pen.strokeRect(left + 0.5, BEATS.top + 0.5, Math.max(0, right - left - 1), BEATS.bottom - BEATS.top - 1);
            pen.setLineDash([]);
            const fits = [words, short].find((candidate) => {
                const width = candidate && pen.measureText(candidate).width;
                return candidate && place(left, right, width) + width < free;
            });
            if (fits) {
                const at = place(left, right, pen.measureText(fits).width);
                pen.fillStyle = gap ? colour.gap : colour.soft;
                pen.fillText(fits, at, 3);
                free = at - 6;
            }
        }
    }

    /** Where words of this width begin so that they stand in the middle of a span, and in the strip. */
    function place(left, right, width) {
        return Math.min(size.width - width - 1, Math.max(1, (left + right - width) / 2));
    }

    function drawRequests(seen, time) {
        const shown = requests.filter(({ sent, ended }) => sent <= time && (ended ?? time) > time - WINDOW[span]);
        for (let lane = 0; lane < AT_ONCE; lane += 1) {
            const bars = shown.filter((request) => request.lane === lane).reverse().map(({ name, sent, ended }) =>
                ({ name, left: seen(sent), right: seen(Math.min(ended ?? time, time)) }));
            drawLane(bars, LANE.top + lane * LANE.pitch);
        }
    }

    /** Bars, the oldest first; each with its name where there is room for it. */
    function drawLane(bars, top) {
        pen.textBaseline = 'middle';
        let free = 0; // up to here the lane is full
        bars.forEach(({ name, left, right }, index) => {
            pen.fillStyle = colour.bar;
            pen.fillRect(left, top, Math.max(1, right - left), LANE.height);
            pen.strokeStyle = colour['bar-edge'];
            pen.strokeRect(left + 0.5, top + 0.5, Math.max(0, right - left - 1), LANE.height - 1);
            const width = pen.measureText(name).width;
            const end = bars[index + 1]?.left ?? size.width;
            const at = [Math.min(left + 4, size.width - width - 1), left - width - 4].find((x) => x > free && x + width < end);
            if (at !== undefined) {
                pen.fillStyle = colour.fg;
                pen.fillText(name, at, top + LANE.height / 2 + 1);
            }
            free = Math.max(right, at === undefined ? 0 : at + width);
        });
    }

    const stillness = matchMedia('(prefers-reduced-motion: reduce)');
    let drawnAt = 0;
    function frame() {
        const time = now();
        if (heldAt === undefined && time - drawnAt >= (stillness.matches ? FRAME_STILL : FRAME)) {
            drawnAt = time;
            draw();
        }
        requestAnimationFrame(frame);
    }

    byId('hold').addEventListener('click', () => {
        heldAt = heldAt === undefined ? now() : undefined;
        byId('hold').setAttribute('aria-pressed', String(heldAt !== undefined));
        draw();
    });
    for (const button of document.querySelectorAll('[data-ask]')) {
        button.addEventListener('click', () => ask(button));
    }
    for (const query of ['(prefers-color-scheme: dark)', '(forced-colors: active)']) {
        matchMedia(query).addEventListener('change', measure);
    }
    new ResizeObserver(measure).observe(canvas);
    measure();
    write(byId('status'), say('connecting'));
    connect();
    pollForEver();
    setInterval(showFigures, WORDS * 1000);
    requestAnimationFrame(frame);
})();
