// A tone for critical alerts, where somebody has asked this browser for one.
const KEY = "desk:sound";

function wanted() {
  return localStorage.getItem(KEY) === "on";
}

/** Two short tones. A browser that nobody has clicked in yet may keep silent: the toast is there all the same. */
function play() {
  const context = new AudioContext();
  const volume = context.createGain();
  volume.gain.value = 0.15;
  volume.connect(context.destination);
  for (const [n, frequency] of [880, 660].entries()) {
    const tone = context.createOscillator();
    tone.frequency.value = frequency;
    tone.connect(volume);
    tone.start(context.currentTime + n * 0.2);
    tone.stop(context.currentTime + n * 0.2 + 0.15);
    if (n === 1) tone.addEventListener("ended", () => context.close());
  }
}

export function soundAlarm() {
  if (wanted()) play();
}

export function bindSound(box) {
  box.checked = wanted();
  box.addEventListener("change", () => {
    localStorage.setItem(KEY, box.checked ? "on" : "off");
    soundAlarm();
  });
}
