// Presses the buttons of the served page in a browser, by mouse and by keyboard, and reads what it shows meanwhile: the beats stop
// for terrible and for fib inline, and go on for good, perfect and rayon.
//
//     npm ci && node run.mjs http://127.0.0.1:PORT/ [--screenshots DIR]
//
// The server is one worker with one loop, as it is without options. CHROMIUM names the browser (/usr/bin/chromium). Gaps are
// compared within a run. Where beats come late before anything was pressed, that they go on is not judged, and counted.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { stripVTControlCharacters } from 'node:util';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
const VIEWS = [
    { name: 'wide-light', width: 1280, scheme: 'light' },
    { name: 'wide-dark', width: 1280, scheme: 'dark' },
    { name: 'narrow-light', width: 360, scheme: 'light' },
    { name: 'narrow-dark', width: 360, scheme: 'dark' },
];
const HEIGHT = 900;
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const WAIT = 30_000; // milliseconds for anything that is waited for

const SECONDS = 2; // of a ping
const SEEN = 0.5; // seconds without a beat after which the server certainly stands still
const SHARE = 0.7; // of the time that the loop was blocked must be seen as a gap, and less than half of it where it was not
const QUIET_BEATS = 20; // before anything is pressed
const LATE = 0.5; // a longer gap among these, or in this program itself: the machine is too busy to judge that beats go on
const ATTEMPTS = 3; // a machine that is busy for a moment makes a gap once, a blocked loop each time
const FIB_SECONDS = 1.2; // that the computation should take, at least
const FIB_PROBE = 34; // where the search for such an n begins
const FIB_MAX = 45; // what the page takes
const AT_ONCE = 4; // requests that the page has on their way

const failures = [];
const notJudged = [];
let checks = 0;
const fail = (place, message) => failures.push(`${place}: ${message}`);
const check = (place, holds, message) => {
    checks += 1;
    if (!holds) {
        fail(place, message);
    }
};

function readArguments(words) {
    const at = words.indexOf('--screenshots');
    const screenshots = at < 0 ? undefined : words.splice(at, 2)[1];
    if (words.length !== 1 || !URL.canParse(words[0]) || (at >= 0 && !screenshots)) {
        console.error('usage: node run.mjs URL [--screenshots DIR]');
        process.exit(2);
    }
    return { base: new URL(words[0]), screenshots };
}

/** A browser with nothing remembered. */
async function withBrowser(work) {
    const profile = await mkdtemp(join(tmpdir(), 'server-browser-'));
    const context = await chromium.launchPersistentContext(profile, {
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: FLAGS,
        headless: true,
        viewport: { width: 1280, height: HEIGHT },
    });
    context.setDefaultTimeout(WAIT);
    try {
        return await work(context);
    } finally {
        await context.close();
        await rm(profile, { recursive: true, force: true });
    }
}

/** Opens the page in a tab that reports what it says to the console and asks of the network. */
async function open(context, url, { mayBreak = false } = {}) {
    const page = await context.newPage();
    page.on('pageerror', (error) => fail('page', `script: ${error.message}`));
    page.on('request', (request) => {
        if (new URL(request.url()).host !== url.host) {
            fail('page', `request to another host: ${request.url()}`);
        }
    });
    if (!mayBreak) {
        page.on('console', (message) => {
            if (['error', 'warning'].includes(message.type())) {
                fail('page', `console: ${message.text()} (${message.location().url})`);
            }
        });
        page.on('requestfailed', (request) => {
            // Leaving a page ends what it still asks for; nothing failed.
            if (request.failure()?.errorText !== 'net::ERR_ABORTED') {
                fail('page', `request failed: ${request.url()}`);
            }
        });
        page.on('response', (response) => {
            if (response.status() >= 400) {
                fail('page', `${response.status()} for ${response.url()}`);
            }
        });
    }
    await page.goto(url.href);
    await beating(page);
    return page;
}

const figure = (page, selector) => page.locator(selector).evaluate((element) => Number(element.value));
const beating = (page) => page.waitForFunction(() => {
    const { value } = document.querySelector('#last-beat');
    return value !== '' && Number(value) < 0.3;
});

/** Returns when the server has sent so many beats to a client of its own. */
async function pass(base, count) {
    const end = new AbortController();
    const response = await fetch(new URL('events?seconds=0.1', base), { signal: end.signal });
    const decoder = new TextDecoder();
    let seen = 0;
    try {
        for await (const bytes of response.body) {
            seen += decoder.decode(bytes, { stream: true }).split('data:').length - 1;
            if (seen > count) {
                return;
            }
        }
        throw new Error('the server ended the events');
    } finally {
        end.abort();
    }
}

async function askServer(base, path) {
    const response = await fetch(new URL(path, base));
    if (!response.ok) {
        throw new Error(`${response.status} for ${path}`);
    }
    return response.json();
}

/** How many upright lines of the colour of beats the strip shows. */
const ticks = (page) => page.evaluate(() => {
    const canvas = document.querySelector('#strip');
    const pen = canvas.getContext('2d');
    pen.save();
    const before = pen.fillStyle;
    pen.fillStyle = getComputedStyle(canvas).getPropertyValue('--beat').trim();
    const [red, green, blue] = pen.fillStyle.match(/\w\w/g).map((hex) => Number.parseInt(hex, 16));
    pen.fillStyle = before;
    pen.restore();
    const row = pen.getImageData(0, Math.round(45 * devicePixelRatio), canvas.width, 1).data;
    let count = 0;
    for (let at = 0, was = false; at < row.length; at += 4) {
        const is = row[at] === red && row[at + 1] === green && row[at + 2] === blue;
        count += is && !was ? 1 : 0;
        was = is;
    }
    return count;
});

/** The newest request of a name, as the page lists it. */
const newest = (page, name) => page.locator(`#requests li[data-name="${name}"]`).first();

/** Waits until the gap during a request is known: at the first beat after its answer. */
async function gapDuring(page, name) {
    const item = newest(page, name);
    await item.and(page.locator('[data-settled]')).waitFor();
    const [state, text] = [await item.getAttribute('data-state'), await item.textContent()];
    check(name, state === 'answered', `it is ${state}: ${text.trim()}`);
    return item.locator('.meanwhile data').evaluate((element) => Number(element.value));
}

/** How late this program itself was called, which does nothing but wait. */
const ownDelay = monitorEventLoopDelay({ resolution: 20 });
ownDelay.enable();

/**
 * Presses until the beats went on during the request, and until `press` has seen what it looks for meanwhile. Where the machine
 * is too busy to tell, that is not judged.
 */
async function expectNoGap(page, { name, label = name, blocked, busy, meanwhile = 'nothing else' }, press) {
    const gaps = [];
    let seen;
    do {
        ownDelay.reset();
        seen = await press();
        gaps.push(await gapDuring(page, name));
    } while (!busy && gaps.length < ATTEMPTS && !(seen && gaps.at(-1) < blocked / 2));
    const gap = gaps.at(-1);
    const own = ownDelay.max / 1e9;
    const late = own > LATE ? `this program itself was late by ${own.toFixed(2)} s` : undefined;
    if (busy ?? (seen && gap < blocked / 2 ? undefined : late)) {
        notJudged.push(`${label}: ${busy ?? late}`);
    } else {
        const all = gaps.map((one) => one.toFixed(2)).join(', ');
        check(label, gap < blocked / 2, `gaps of ${all} s, where a blocked loop gave ${blocked.toFixed(2)} s`);
        check(label, seen, `not seen in ${gaps.length} attempts: ${meanwhile}`);
    }
    return gap;
}

async function pressTerrible(page, base, busy) {
    const label = 'terrible, by mouse';
    await page.getByRole('radio').first().check();
    const over = '#requests li[data-name="terrible"][data-settled]';
    const pollIsLate = page.waitForFunction((end) => {
        const late = document.querySelector('#poll').dataset.state === 'late';
        return late ? 'late' : document.querySelector(end) && 'over';
    }, over);
    const pressed = performance.now();
    await page.locator('[data-ask="terrible"]').click();
    const beatsStop = await page.waitForFunction(({ seen, end }) => {
        const item = document.querySelector('#requests li[data-name="terrible"][data-state="waiting"]');
        const stopped = Number(item?.querySelector('.meanwhile data').value) >= seen;
        return stopped ? 'stopped' : document.querySelector(end) && 'over';
    }, { seen: SEEN, end: over });
    check(label, await beatsStop.jsonValue() === 'stopped', 'the beats go on');
    const other = askServer(base, 'ping').then(() => (performance.now() - pressed) / 1000);
    check(label, await (await pollIsLate).jsonValue() === 'late', 'the page does not say that the numbers do not come');
    const gap = await gapDuring(page, 'terrible');
    check(label, gap >= SHARE * SECONDS, `a gap of ${gap.toFixed(2)} s for ${SECONDS} s of sleep on the loop`);
    const longest = await figure(page, '#longest-gap');
    check(label, longest >= gap, `the longest gap is ${longest.toFixed(2)} s, and it was ${gap.toFixed(2)} s`);
    const answered = await other;
    if (busy) {
        notJudged.push(`another client during terrible: ${busy}`);
    } else {
        check(label, answered >= SECONDS, `another client was answered ${answered.toFixed(2)} s after the press`);
    }
    check(label, await page.locator('#outcome').getAttribute('data-outcome') === 'stop', 'the prediction is not settled');
    check(label, await page.getByRole('radio').first().isDisabled(), 'the prediction can still be changed');
    return gap;
}

async function pressPerfect(page, base, blocked, busy) {
    const label = 'perfect, by keyboard';
    await page.locator('#count').focus();
    const reached = async () => (await page.evaluate(() => document.activeElement.dataset.ask)) === 'perfect';
    for (let presses = 0; presses < 12 && !await reached(); presses += 1) {
        await page.keyboard.press('Tab');
    }
    check(label, await reached(), 'Tab does not reach it');
    const meanwhile = 'another client is served at once while it waits';
    await expectNoGap(page, { name: 'perfect', label, blocked, busy, meanwhile }, async () => {
        const before = await page.locator('#requests li[data-name="perfect"]').count();
        await page.keyboard.press('Enter');
        await page.locator('#requests li[data-name="perfect"]').nth(before).waitFor();
        let longest = 0;
        do {
            const asked = performance.now();
            await askServer(base, 'ping');
            longest = Math.max(longest, (performance.now() - asked) / 1000);
            await pass(base, 1);
        } while (await newest(page, 'perfect').getAttribute('data-state') === 'waiting');
        return longest < SECONDS / 2;
    });
}

async function pressGood(page, blocked, busy) {
    const meanwhile = 'a token of the pool in use';
    await expectNoGap(page, { name: 'good', blocked, busy, meanwhile }, async () => {
        await page.locator('[data-ask="good"]').click();
        const seen = await page.waitForFunction(() => {
            const { state } = document.querySelector('#requests li[data-name="good"]').dataset;
            return state !== 'waiting' ? 'over' : document.querySelector('#tokens').value >= 1 && 'taken';
        });
        return await seen.jsonValue() === 'taken';
    });
    await page.waitForFunction(() => document.querySelector('#tokens').value === 0);
}

/** An n for which fib takes long enough to be seen, as it was measured. */
async function slowEnough(base) {
    for (let n = FIB_PROBE; ;) {
        const { seconds } = await askServer(base, `fib/${n}?where=rayon`);
        if (seconds >= FIB_SECONDS || n === FIB_MAX) {
            return n;
        }
        // Adding 1 to n multiplies the time by the golden ratio.
        const steps = Math.log(FIB_SECONDS / seconds) / Math.log((1 + Math.sqrt(5)) / 2);
        n = Math.min(FIB_MAX, n + Math.ceil(steps));
    }
}

async function pressFib(page, base, busy) {
    const n = await slowEnough(base);
    await page.locator('#n').fill(String(n));
    const answer = page.waitForResponse((response) => response.url().includes('where=inline'));
    await page.locator('[data-where="inline"]').click();
    const { seconds } = await (await answer).json();
    const blocked = await gapDuring(page, 'inline');
    check('fib inline', blocked >= SHARE * seconds, `a gap of ${blocked.toFixed(2)} s for fib(${n}), which took ${seconds.toFixed(2)} s`);
    const { cores } = await askServer(base, 'stats');
    const rayon = { name: 'rayon', label: 'fib rayon', blocked, busy: cores < 2 ? 'there is one core' : busy };
    const gap = await expectNoGap(page, rayon, async () => {
        await page.locator('[data-where="rayon"]').click();
        return true;
    });
    await page.locator('#n').fill('20');
    for (const where of ['pool', 'process']) {
        await page.locator(`[data-where="${where}"]`).click();
        await gapDuring(page, where);
        const shown = await newest(page, where).locator('.result').textContent();
        check(`fib ${where}`, shown.includes('6,765'), `it shows "${shown}"`);
    }
    return { n, seconds, blocked, gap };
}

/** A browser would hold a seventh request back without a word; the page holds the fifth and says so. */
async function pressManyTimes(page) {
    await page.locator('#seconds').fill('0.5');
    await page.locator('#count').fill(String(AT_ONCE));
    await page.locator('[data-ask="perfect"]').click();
    await page.locator('[data-ask="perfect"]').click();
    await page.locator('#requests li[data-state="queued"]').first().waitFor();
    const waiting = await page.locator('#requests li[data-state="waiting"]').count();
    check('many requests', waiting <= AT_ONCE, `${waiting} requests are on their way at once`);
    await page.waitForFunction(() => !document.querySelector('#requests li:not([data-settled])'));
    const answered = await page.locator('#requests li[data-name="perfect"][data-state="answered"]').count();
    check('many requests', answered >= 2 * AT_ONCE, `${answered} of ${2 * AT_ONCE} requests are shown as answered`);
    await page.locator('#count').fill('7');
    const before = await page.locator('#requests li').count();
    await page.locator('[data-ask="perfect"]').click();
    check('many requests', await page.locator('#requests li').count() === before, 'seven at once are not refused');
    await page.locator('#count').fill('1');
}

/** The strip is held on demand, and is drawn seldom for who asks for less motion. */
async function holdTheStrip(page, base) {
    const image = () => page.evaluate(() => document.querySelector('#strip').toDataURL());
    await page.locator('#hold').click();
    const held = await image();
    await pass(base, 5);
    check('hold', await image() === held, 'the strip moves while it is held');
    await page.locator('#hold').click();
    await page.waitForFunction((before) => document.querySelector('#strip').toDataURL() !== before, held);

    await page.emulateMedia({ reducedMotion: 'reduce' });
    await page.evaluate(() => {
        globalThis.drawings = 0;
        const { clearRect } = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.clearRect = function count(...box) {
            globalThis.drawings += 1;
            clearRect.apply(this, box);
        };
    });
    await pass(base, QUIET_BEATS);
    const drawings = await page.evaluate(() => globalThis.drawings);
    check('less motion', drawings < QUIET_BEATS / 2, `the strip was drawn ${drawings} times during ${QUIET_BEATS} beats`);
    await page.emulateMedia({ reducedMotion: 'no-preference' });
}

/** What is reached by keyboard is seen to be reached, and does not lie below the strip. */
async function checkFocus(page, place) {
    await page.locator('#hold').focus();
    const controls = await page.locator(':is(button, input):enabled').count();
    for (let presses = 1; presses < controls; presses += 1) {
        await page.keyboard.press('Tab');
        const { name, outline, covered } = await page.evaluate(() => {
            const { activeElement } = document;
            const [box, strip] = [activeElement, document.querySelector('.strip')].map((element) => element.getBoundingClientRect());
            return {
                name: activeElement.outerHTML.slice(0, 80),
                outline: getComputedStyle(activeElement).outlineStyle,
                covered: box.top < strip.bottom && box.bottom > strip.top,
            };
        });
        check(place, outline !== 'none', `the focus is not seen: ${name}`);
        check(place, !covered, `the strip covers what has the focus: ${name}`);
    }
}

async function checkAccess(page, place) {
    checks += 1;
    await page.evaluate(axe.source);
    const violations = await page.evaluate(async (rules) => {
        const result = await globalThis.axe.run({ runOnly: { type: 'tag', values: rules }, resultTypes: ['violations'] });
        return result.violations.map(({ id, nodes }) => ({
            id,
            first: `${nodes[0].html.slice(0, 120)} ${nodes[0].any[0]?.message ?? ''}`,
            count: nodes.length,
        }));
    }, RULES);
    for (const { id, first, count } of violations) {
        fail(place, `${id} (${count}): ${first}`);
    }
    const wide = await page.evaluate(() => [...document.querySelectorAll('body *')]
        .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
        .map((element) => element.outerHTML.slice(0, 80)));
    check(place, wide.length === 0, `wider than the window: ${wide.slice(0, 3).join(' | ')}`);
}

/** Between browser and server stands a proxy. When it goes, the page says so; when it is back, so are the beats. */
async function loseTheServer(context, base) {
    const sockets = new Set();
    const proxy = createServer((client) => {
        const server = connect(Number(base.port), base.hostname);
        for (const [from, to] of [[client, server], [server, client]]) {
            sockets.add(from);
            from.on('error', () => {}).on('close', () => sockets.delete(from) && to.destroy());
            from.pipe(to);
        }
    });
    const listen = (port) => new Promise((resolve, reject) => {
        proxy.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
    const close = () => new Promise((resolve) => {
        proxy.close(resolve);
        sockets.forEach((socket) => socket.destroy());
    });
    await listen(0);
    const { port } = proxy.address();
    const page = await open(context, new URL(`http://127.0.0.1:${port}/`), { mayBreak: true });
    const said = page.locator('#status');
    const beats = await said.textContent();
    await page.locator('[data-ask="perfect"]').click();
    await newest(page, 'perfect').waitFor();
    await close();
    await said.filter({ hasNotText: beats }).waitFor();
    await page.locator('#poll[data-state="lost"]').waitFor();
    await page.locator('#requests li[data-state="failed"][data-settled]').waitFor();
    await listen(port);
    await said.filter({ hasText: beats }).waitFor();
    await beating(page);
    await page.locator('#poll[data-state="fresh"]').waitFor();
    checks += 1;
    await page.close();
    await close();
}

/** Before, during and after a freeze, in each view. */
async function takePictures(context, base, folder) {
    for (const view of VIEWS) {
        const page = await open(context, base);
        await page.setViewportSize({ width: view.width, height: HEIGHT });
        await page.emulateMedia({ colorScheme: view.scheme });
        const take = (moment, fullPage) => page.screenshot({ path: join(folder, `${moment}-${view.name}.png`), fullPage });
        await pass(base, 3 * QUIET_BEATS);
        await take('1-before', true);
        await page.locator('#count').fill('2');
        await page.locator('[data-ask="perfect"]').click();
        await gapDuring(page, 'perfect');
        await page.locator('#count').fill('1');
        await page.locator('[data-ask="terrible"]').click();
        await page.waitForFunction(() => document.querySelector('#poll').dataset.state === 'late');
        await take('2-during', false); // as it is seen, at the button
        await gapDuring(page, 'terrible');
        await pass(base, QUIET_BEATS);
        await page.evaluate(() => scrollTo(0, 0));
        await take('3-after', true);
        await page.close();
    }
}

/** The longest gap while nothing is asked. A browser that starts is busy itself, so there is more than one attempt. */
async function beforeAnything(page, base) {
    for (let attempt = 1; ; attempt += 1) {
        await pass(base, QUIET_BEATS);
        const longest = await figure(page, '#longest-gap');
        if (longest <= LATE || attempt === ATTEMPTS) {
            return longest;
        }
        await page.reload();
        await beating(page);
    }
}

async function checkPage(context, base) {
    const page = await open(context, base);
    const before = await beforeAnything(page, base);
    const busy = before > LATE ? `a gap of ${before.toFixed(2)} s before anything was pressed` : undefined;
    const drawn = await ticks(page);
    check('strip', drawn >= QUIET_BEATS / 2, `it shows ${drawn} beats after ${QUIET_BEATS}`);
    const blocked = await pressTerrible(page, base, busy);
    await pressPerfect(page, base, blocked, busy);
    await pressGood(page, blocked, busy);
    const fib = await pressFib(page, base, busy);
    await pressManyTimes(page);
    await holdTheStrip(page, base);
    for (const view of VIEWS) {
        await page.setViewportSize({ width: view.width, height: HEIGHT });
        await page.emulateMedia({ colorScheme: view.scheme });
        await checkAccess(page, view.name);
        await checkFocus(page, view.name);
    }
    await page.close();
    console.log(`gaps: ${before.toFixed(2)} s before, ${blocked.toFixed(2)} s for ${SECONDS} s of terrible, `
        + `${fib.blocked.toFixed(2)} s for fib(${fib.n}) inline (${fib.seconds.toFixed(2)} s), ${fib.gap.toFixed(2)} s for rayon`);
}

// What waits in the background fails when the browser ends; the browser is to be ended in order all the same.
process.on('unhandledRejection', (error) => fail('the test', stripVTControlCharacters(error.stack)));
const { base, screenshots } = readArguments(process.argv.slice(2));
try {
    await withBrowser(async (context) => {
        await checkPage(context, base);
        await loseTheServer(context, base);
        if (screenshots) {
            await mkdir(screenshots, { recursive: true });
            await takePictures(context, base, screenshots);
        }
    });
} catch (error) {
    fail('the test', stripVTControlCharacters(error.stack));
}
for (const failure of new Set(failures)) {
    console.error(failure);
}
for (const reason of notJudged) {
    console.log(`not judged: ${reason}`);
}
console.log(`${checks} checks: ${failures.length} failure(s), ${notJudged.length} not judged`);
process.exitCode = failures.length > 0 ? 1 : 0;
