"""What starts and fills a desk."""
