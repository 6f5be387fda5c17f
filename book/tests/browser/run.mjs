// Reads the served book as a browser does: every page of its table of contents, light and dark, wide and narrow; then answers
// a prediction by mouse, by keyboard and without JavaScript.
//
//     npm ci && node run.mjs URL [--screenshots DIR]
//
// CHROMIUM names the browser (/usr/bin/chromium). What cannot be judged (no prediction in the book yet) is counted, not passed.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'];
const SOURCE_PAGES = 3; // pages of whole source files to read; they are all made alike
const VIEWS = [
    { name: 'wide-light', width: 1280, theme: 'light', axe: true },
    { name: 'wide-dark', width: 1280, theme: 'navy', axe: true },
    { name: 'narrow-light', width: 360, theme: 'light', axe: true },
    { name: 'narrow-dark', width: 360, theme: 'navy', axe: false },
];
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const failures = [];
const notJudged = [];
const fail = (place, message) => failures.push(`${place}: ${message}`);

function readArguments(words) {
    const at = words.indexOf('--screenshots');
    const screenshots = at < 0 ? undefined : words.splice(at, 2)[1];
    if (words.length !== 1 || (at >= 0 && !screenshots)) {
        console.error('usage: node run.mjs URL [--screenshots DIR]');
        process.exit(2);
    }
    return { base: new URL(words[0]), screenshots };
}

/** A browser with nothing remembered, that notes what goes wrong in any of its pages. */
async function withBrowser(options, work) {
    const profile = await mkdtemp(join(tmpdir(), 'book-browser-'));
    const context = await chromium.launchPersistentContext(profile, {
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: FLAGS,
        headless: true,
        ...options,
    });
    try {
        return await work(context);
    } finally {
        await context.close();
        await rm(profile, { recursive: true, force: true });
    }
}

/** Reports what a page of `base` says to the console and asks of the network. */
function watch(page, base) {
    const place = () => new URL(page.url()).pathname;
    page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) {
            fail(place(), `console: ${message.text()}`);
        }
    });
    page.on('pageerror', (error) => fail(place(), `script: ${error.message}`));
    page.on('request', (request) => {
        const url = new URL(request.url());
        if (!['data:', 'blob:'].includes(url.protocol) && url.host !== base.host) {
            fail(place(), `request to another host: ${url}`);
        }
    });
    page.on('requestfailed', (request) => {
        // Leaving a page ends what it still asks for; nothing failed.
        if (request.failure()?.errorText !== 'net::ERR_ABORTED') {
            fail(place(), `request failed: ${request.url()}`);
        }
    });
    page.on('response', (response) => {
        if (response.status() >= 400) {
            fail(place(), `${response.status()} for ${response.url()}`);
        }
    });
    return page;
}

/** The paths of the book's pages, as its table of contents has them, without most of the source files. */
async function contents(base) {
    const response = await fetch(new URL('toc.html', base));
    if (!response.ok) {
        throw new Error(`no book is served at ${base}: ${response.status} for its table of contents`);
    }
    const links = [...(await response.text()).matchAll(/<a href="([^"#]+\.html)"/g)].map((match) => match[1]);
    const isSource = (path) => path.startsWith('code/') && path !== 'code/index.html';
    const text = links.filter((path) => !isSource(path));
    return [...text, ...links.filter(isSource).slice(0, SOURCE_PAGES)];
}

async function checkWidth(page, place) {
    const wide = await page.evaluate(() => {
        const limit = document.documentElement.clientWidth;
        const holder = (element) => element.closest('pre, .table-wrapper, .matrix-table');
        const over = [...document.querySelectorAll('main *')].filter((element) =>
            element.getBoundingClientRect().right > limit + 1 && !holder(element.parentElement));
        const scrolls = document.scrollingElement.scrollWidth > limit
            || document.querySelector('#mdbook-content').scrollWidth > document.querySelector('#mdbook-content').clientWidth;
        return scrolls || over.length > 0 ? over.slice(0, 3).map((element) => element.outerHTML.slice(0, 80)) : undefined;
    });
    if (wide) {
        fail(place, `wider than the window: ${wide.join(' | ')}`);
    }
}

async function checkAccess(page, place) {
    await page.evaluate(axe.source);
    const violations = await page.evaluate(async (rules) => {
        const result = await globalThis.axe.run('main', { runOnly: { type: 'tag', values: rules }, resultTypes: ['violations'] });
        return result.violations.map(({ id, nodes }) => ({
            id,
            first: `${nodes[0].html.slice(0, 120)} ${nodes[0].any[0]?.message ?? ''}`,
            count: nodes.length,
        }));
    }, RULES);
    for (const { id, first, count } of violations) {
        fail(place, `${id} (${count}): ${first}`);
    }
}

async function readPages(base, paths, view, screenshots) {
    await withBrowser({ viewport: { width: view.width, height: 900 } }, async (context) => {
        await context.addInitScript((theme) => {
            localStorage.setItem('mdbook-theme', theme);
        }, view.theme);
        const page = watch(context.pages()[0] ?? await context.newPage(), base);
        for (const path of paths) {
            const place = `${path} (${view.name})`;
            await page.goto(new URL(path, base).href, { waitUntil: 'load' });
            if (!await page.evaluate((theme) => document.documentElement.classList.contains(theme), view.theme)) {
                fail(place, `the theme is not ${view.theme}`);
            }
            await checkWidth(page, place);
            if (view.axe) {
                await checkAccess(page, place);
            }
            if (screenshots) {
                const name = `${path.replace(/\.html$/, '').replaceAll('/', '_')}-${view.name}.png`;
                await page.screenshot({ path: join(screenshots, name), fullPage: true });
            }
        }
    });
}

/** The first page of `paths` that holds `selector`. */
async function pageWith(base, paths, marker) {
    for (const path of paths) {
        const text = await (await fetch(new URL(path, base))).text();
        if (text.includes(marker)) {
            return new URL(path, base).href;
        }
    }
    return undefined;
}

// What settles a prediction is blurred until one is chosen: each prediction by itself.
async function checkVeil(page) {
    const veiled = page.locator('.veiled');
    const counts = [await veiled.count()];
    if (counts[0] === 0) {
        fail('prediction', 'nothing below it is blurred');
        return;
    }
    const filter = await veiled.first().evaluate((element) => getComputedStyle(element).filter);
    if (!filter.includes('blur')) {
        fail('prediction', `what settles it is marked, and not blurred: "${filter}"`);
    }
    for (const section of await page.locator('.predict').all()) {
        await section.locator('button').nth(1).click();
        counts.push(await veiled.count());
    }
    if (counts.at(-1) !== 0 || counts.at(-2) === 0) {
        fail('prediction', `the choices leave ${counts.join(', ')} blurred, one after the other`);
    }
    await page.reload();
}

async function checkAnswered(page, how) {
    const section = page.locator('.predict').first();
    const reasons = await section.locator('.reasons > li:visible').count();
    const options = await section.locator('.options > li').count();
    if (reasons !== options) {
        fail(`prediction by ${how}`, `${reasons} of ${options} reasons are shown`);
    }
    const outcome = await section.locator('.outcome').textContent();
    if (!outcome.startsWith('B: ')) {
        fail(`prediction by ${how}`, `the outcome reads "${outcome}"`);
    }
    await section.locator('button').first().click({ force: true });
    if (await section.locator('.outcome').textContent() !== outcome) {
        fail(`prediction by ${how}`, 'a second choice changed the first');
    }
    await checkAccess(page, `answered prediction, by ${how}`);
}

async function answerPrediction(base, url, screenshots) {
    await withBrowser({ viewport: { width: 1280, height: 900 } }, async (context) => {
        const page = watch(context.pages()[0] ?? await context.newPage(), base);
        await page.goto(url);
        await checkVeil(page);
        await page.locator('.predict button').nth(1).click();
        await checkAnswered(page, 'mouse');
        if (screenshots) {
            await page.screenshot({ path: join(screenshots, 'prediction-answered.png'), fullPage: true });
        }
        await page.goto(url);
        await page.locator('.predict button').first().focus();
        await page.keyboard.press('Tab');
        await page.keyboard.press('Enter');
        await checkAnswered(page, 'keyboard');
        await page.emulateMedia({ media: 'print' });
        if (screenshots) {
            await page.screenshot({ path: join(screenshots, 'prediction-printed.png'), fullPage: true });
        }
    });
    await withBrowser({ javaScriptEnabled: false }, async (context) => {
        const page = watch(context.pages()[0] ?? await context.newPage(), base);
        await page.goto(url);
        const section = page.locator('.predict').first();
        if (await section.locator('.reasons > li:visible').count() > 0 || await section.locator('button').count() > 0) {
            fail('prediction without JavaScript', 'it is open, or has buttons that do nothing');
        }
        await section.locator('summary').click();
        if (await section.locator('.reasons > li:visible').count() === 0) {
            fail('prediction without JavaScript', 'its reasons cannot be opened');
        }
    });
}

async function followListing(base, url) {
    await withBrowser({ viewport: { width: 1280, height: 900 } }, async (context) => {
        const page = watch(context.pages()[0] ?? await context.newPage(), base);
        await page.goto(url);
        await page.locator('figure.listing figcaption a').first().click();
        await page.waitForSelector('pre.source');
        const marked = page.locator('pre.source .line.marked');
        // The script that marks them runs when the page has been read, not before.
        await marked.first().waitFor({ state: 'attached', timeout: 30_000 }).catch(() => {});
        if (await marked.count() === 0) {
            fail('listing', 'its link marks no line of the file');
        } else if (!await marked.first().evaluate((line) => {
            const box = line.getBoundingClientRect();
            return box.top >= 0 && box.bottom <= innerHeight;
        })) {
            fail('listing', 'the lines it links to are not in view');
        }
    });
}

const { base, screenshots } = readArguments(process.argv.slice(2));
if (screenshots) {
    await mkdir(screenshots, { recursive: true });
}
const paths = await contents(base);
const views = VIEWS.map((view) => readPages(base, paths, view, screenshots));
await Promise.all(views);
const predicting = await pageWith(base, paths, 'class="predict"');
const listing = await pageWith(base, paths, 'class="listing"');
if (predicting) {
    await answerPrediction(base, predicting, screenshots);
} else {
    notJudged.push('predictions: no page holds one');
}
if (listing) {
    await followListing(base, listing);
} else {
    notJudged.push('listings: no page holds one');
}
for (const failure of new Set(failures)) {
    console.error(failure);
}
for (const reason of notJudged) {
    console.log(`not judged: ${reason}`);
}
console.log(`${paths.length} pages, ${VIEWS.length} views each: ${failures.length} failure(s), ${notJudged.length} not judged`);
process.exitCode = failures.length > 0 ? 1 : 0;
