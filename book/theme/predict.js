// A prediction: its options become buttons, the first choice is final, and then every reason is shown. Without this script
// the reasons are folded. Nothing is remembered.
'use strict';
(() => {
    // The output and the code that settle it: up to the next heading, or the transcript directly below that heading.
    const below = (section) => {
        const found = [];
        let element = section.nextElementSibling;
        if (element?.matches('h2') && element.nextElementSibling?.matches('pre.transcript')) {
            return [element.nextElementSibling];
        }
        for (; element && !element.matches('h1, h2, h3, h4, .predict'); element = element.nextElementSibling) {
            if (element.matches('pre.transcript')) {
                found.push(element);
            } else if (element.matches('figure')) {
                found.push(...element.querySelectorAll('pre:not(.run), .matrix-table'));
            }
        }
        return found;
    };

    const choose = (section, buttons, chosen) => {
        if (section.classList.contains('chosen')) {
            return;
        }
        section.classList.add('chosen');
        below(section).forEach((element) => element.classList.remove('veiled'));
        const reasons = [...section.querySelectorAll('.reasons > li')];
        buttons.forEach((button, at) => {
            // Not `disabled`: the button would lose the focus, and the reader their place.
            button.setAttribute('aria-disabled', 'true');
            button.setAttribute('aria-pressed', String(at === chosen));
        });
        const verdict = reasons[chosen].querySelector('.verdict');
        const letter = reasons[chosen].querySelector('.letter').textContent;
        section.querySelector('.outcome').textContent = `${letter}: ${verdict.textContent}`;
        verdict.after(` (${section.dataset.yours})`);
        section.querySelector('details').open = true;
    };

    for (const section of document.querySelectorAll('.predict')) {
        section.classList.add('live');
        below(section).forEach((element) => element.classList.add('veiled'));
        const buttons = [...section.querySelectorAll('.options > li')].map((item) => {
            const button = document.createElement('button');
            button.type = 'button';
            button.append(...item.childNodes);
            item.append(button);
            return button;
        });
        buttons.forEach((button, at) => {
            button.addEventListener('click', () => choose(section, buttons, at));
        });
    }
})();
