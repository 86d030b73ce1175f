"""Pure market data: time frames, calendars, bars as arrays, validation, replay. No Django, no clock, no I/O."""
