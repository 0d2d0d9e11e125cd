/* Keys that lead to other pages and rows. None of them changes anything. "?" lists them, also when
   they are off: people who speak to their computer need them off (WCAG 2.1.4). */
"use strict";
{
    const STORED = "importmonitor-keys";
    const dialog = document.getElementById("im-keys");
    const toggle = dialog?.querySelector("[data-im-keys-on]");
    const isTyping = (element) => element.closest("input, textarea, select, [contenteditable]");

    /* A browser can refuse to store anything. */
    const store = (isOn) => {
        try {
            localStorage.setItem(STORED, isOn ? "on" : "off");
        } catch {
            /* Then it is for this page. */
        }
    };
    const read = () => {
        try {
            return localStorage.getItem(STORED) !== "off";
        } catch {
            return true;
        }
    };

    const focusRow = (step) => {
        const links = [...document.querySelectorAll("#result_list tbody tr")]
            .map((row) => row.querySelector("th a, td a")).filter(Boolean);
        const row = document.activeElement.closest("#result_list tbody tr");
        const index = links.findIndex((link) => row?.contains(link));
        links[index < 0 ? 0 : index + step]?.focus();
    };

    const act = (key) => {
        if (key === "/") {
            document.getElementById("searchbar")?.focus();
        } else if (key === "j" || key === "k") {
            focusRow(key === "j" ? 1 : -1);
        } else if (key === "n" || key === "o") {
            document.querySelector(key === "n" ? "a[rel=next]" : "a[rel=prev]")?.click();
        } else {
            const links = [...dialog.querySelectorAll("a[data-im-key]")];
            links.find((link) => link.dataset.imKey === key)?.click();
        }
    };

    if (dialog) {
        toggle.checked = read();
        toggle.addEventListener("change", () => store(toggle.checked));
        document.addEventListener("keydown", (event) => {
            const isModified = event.ctrlKey || event.metaKey || event.altKey;
            if (isModified || dialog.open || isTyping(event.target)) {
                return;
            }
            if (event.key === "?") {
                dialog.showModal();
                event.preventDefault();
            } else if (toggle.checked && "/jknohiwa".includes(event.key)) {
                act(event.key);
                event.preventDefault();
            }
        });
    }
}
