// A click is lost if its element is replaced before the release, so the page holds still while a button is pressed.

/** Longest hold, in milliseconds: a release can go unnoticed, as when the press opens a menu. */
const LONGEST_MS = 8_000;

export class Press {
  /** Watches what the selector `on` matches within the element; `released()` can show what changed meanwhile. */
  constructor(element, on, released) {
    this.isHeld = false;
    const release = () => {
      clearTimeout(this.ending);
      if (!this.isHeld) return;
      setTimeout(() => { // the click comes first
        this.isHeld = false;
        released();
      });
    };
    element.addEventListener("pointerdown", ({ button, target }) => {
      if (button !== 0 || !target.closest(on)) return;
      clearTimeout(this.ending);
      this.isHeld = true;
      this.ending = setTimeout(release, LONGEST_MS);
    });
    for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, release);
  }
}
