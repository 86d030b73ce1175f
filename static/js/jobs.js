// Progress of long work: bar, words, and the way to the result once it is there.
import { live } from "./live.js";

const ENDED = ["succeeded", "partial", "failed", "cancelled"];

function paint(box, job) {
  const bar = box.querySelector("progress");
  const share = job.total ? job.done / job.total : null;
  if (share === null && !ENDED.includes(job.state)) bar.removeAttribute("value");
  else bar.value = ENDED.includes(job.state) ? 1 : share;
  box.querySelector("[data-part=state]").textContent = job.state;
  const counted = job.total ? `${job.done.toLocaleString("en-US")} of ${job.total.toLocaleString("en-US")}` : "";
  box.querySelector("[data-part=message]").textContent = [job.message, counted].filter(Boolean).join(" · ");
  if (!ENDED.includes(job.state)) return;
  if (box.dataset.state !== job.state) location.reload(); // the page knows the result, or the reason why there is none
}

export function bindJobs(boxes) {
  for (const box of boxes) {
    live.on(`jobs:${box.dataset.job}`, ({ d }) => {
      const job = d.jobs ? d.jobs[0] : d;
      if (job) paint(box, job);
    });
  }
}
