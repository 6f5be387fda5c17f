// What scrolls can be scrolled by keyboard; a link to lines of a file marks them; what is folded opens for printing.
'use strict';
(() => {
    const scrolls = '.content main pre, .content main .table-wrapper';
    const reachable = () => {
        for (const box of document.querySelectorAll(scrolls)) {
            if (box.scrollWidth > box.clientWidth) {
                box.tabIndex = 0;
            }
        }
    };

    const mark = () => {
        for (const line of document.querySelectorAll('pre.source .marked')) {
            line.classList.remove('marked');
        }
        const range = /^#L(\d+)-L(\d+)$/.exec(location.hash);
        if (!range || !document.querySelector('pre.source')) {
            return;
        }
        const [first, last] = [Number(range[1]), Number(range[2])];
        for (let line = first; line <= last; line += 1) {
            document.getElementById(`L${line}`)?.classList.add('marked');
        }
        document.getElementById(`L${first}`)?.scrollIntoView();
    };

    reachable();
    mark();
    addEventListener('resize', reachable);
    addEventListener('hashchange', mark);
})();
