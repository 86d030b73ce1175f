// Entry of every page behind the login: binds what the page holds.
import { bindAlerts } from "./alerts.js";
import { bindCells } from "./cells.js";
import { bindCharts } from "./charts.js";
import { bindHalt } from "./halt.js";
import { bindKeys } from "./keys.js";
import { bindTicketLinks } from "./ticket_panel.js";
import { bindTopbar } from "./topbar.js";

const body = document.body;
bindTopbar(body);
bindAlerts(body);
bindHalt(body);
bindCells();
bindCharts();
bindKeys();
bindTicketLinks();
const sound = document.getElementById("sound");
if (sound) import("./sound.js").then(({ bindSound }) => bindSound(sound));
const ticket = document.getElementById("ticket");
if (ticket) import("./ticket.js").then(({ bindTicket }) => bindTicket(ticket));
const jobs = document.querySelectorAll("[data-job]");
if (jobs.length) import("./jobs.js").then(({ bindJobs }) => bindJobs(jobs));
const blotter = document.getElementById("blotter");
if (blotter) import("./blotter.js").then(({ bindBlotter }) => bindBlotter(blotter));
const regions = document.querySelectorAll("[data-refresh]");
if (regions.length) import("./refresh.js").then(({ bindRefresh }) => bindRefresh(regions));
