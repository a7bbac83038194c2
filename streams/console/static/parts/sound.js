// A short tone for what a control room must hear; off until it is switched on, since a browser allows none before.

const SPEAKING = ["alert", "urgent"];
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
   * Sounds for a revision that speaks: tier alert or higher, with a notice, neither delayed nor an exercise. Of those
   * that come together the first, and a higher one after it.
   */
  hear(alert) {
    const rank = SPEAKING.indexOf(alert.tier);
    const speaks = rank >= 0 && alert.notice && !alert.delayed && alert.status !== "exercise";
    if (!this.context || !speaks || (Date.now() - this.sounded < GAP_MS && rank <= this.rank)) return;
    this.sounded = Date.now();
    this.rank = rank;
    this.#tone(alert.tier === "urgent" ? [880, 660, 880] : [660, 660]);
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
