/* Buttons that copy a text. Without this script they are hidden, and the text is selected by hand. */
"use strict";
{
    const SHOWN_FOR = 2000;

    /* The Clipboard API is missing on pages over http, except on this machine. */
    const copy = async (element) => {
        if (navigator.clipboard) {
            await navigator.clipboard.writeText(element.textContent);
            return true;
        }
        getSelection().selectAllChildren(element);
        return document.execCommand("copy");
    };

    /* A class, since refresh.js would undo changes of the buttons themselves. */
    document.documentElement.classList.add("im-scripted");

    document.addEventListener("click", async (event) => {
        const button = event.target.closest("[data-im-copy]");
        const element = button && document.getElementById(button.dataset.imCopy);
        if (!element) {
            return;
        }
        let isCopied = false;
        try {
            isCopied = await copy(element);
        } catch {
            getSelection().selectAllChildren(element);
        }
        if (isCopied && button.textContent !== button.dataset.imCopied) {
            const label = button.textContent;
            button.textContent = button.dataset.imCopied;
            setTimeout(() => { button.textContent = label; }, SHOWN_FOR);
        }
    });
}
