"""What an alert's delivery follows, without Django: wishes, quiet hours, retries, targets, signatures."""
