// A short tone for what a control room must hear. It is off at first, because browsers allow no sound before a click.

import { TIERS, soundRank } from "./words.js";

const GAP_MS = 1_500;

export class Sound {
  constructor(button) {
    this.button = button;
    this.context = null;
    this.sounded = 0;
    this.rank = 0;
    button.addEventListener("click", () => this.#toggle());
  }

  /**
   * Sounds for a revision with a notice from the tier alert on, unless it is delayed or an exercise. Of revisions that
   * come together the first sounds, and then one with a higher tier.
   */
  hear(alert) {
    const rank = soundRank(alert);
    const sounds = rank >= 0 && alert.notice && !alert.delayed && alert.status !== "exercise";
    if (!this.context || !sounds || (Date.now() - this.sounded < GAP_MS && rank <= this.rank)) return;
    this.sounded = Date.now();
    this.rank = rank;
    this.#tone(alert.tier === TIERS[0] ? [880, 660, 880] : [660, 660]);
  }

  #toggle() {
    if (this.context) {
      this.context.close();
      this.context = null;
    } else {
      this.context = new AudioContext();
      this.#tone([660]);
    }
    this.button.textContent = this.context ? "Sound on" : "Sound off";
    this.button.setAttribute("aria-pressed", String(this.context !== null));
  }

  #tone(frequencies) {
    frequencies.forEach((frequency, position) => {
      const begin = this.context.currentTime + position * 0.18;
      const [oscillator, volume] = [this.context.createOscillator(), this.context.createGain()];
      oscillator.frequency.value = frequency;
      volume.gain.setValueAtTime(0, begin);
      volume.gain.linearRampToValueAtTime(0.15, begin + 0.02);
      volume.gain.linearRampToValueAtTime(0, begin + 0.16);
      oscillator.connect(volume).connect(this.context.destination);
      oscillator.start(begin);
      oscillator.stop(begin + 0.17);
    });
  }
}
