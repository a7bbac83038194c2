// A click is nobody's if what was pressed is replaced before its release: what is shown holds still meanwhile.

/** A release may never be heard, as when a menu opens on the press. */
const LONGEST_MS = 8_000;

export class Press {
  /** Of what the selector `on` finds within the element; `released()`: what changed meanwhile can be shown. */
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
