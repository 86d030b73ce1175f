from django.contrib.auth.models import AbstractUser
from django.db import models


class Theme(models.TextChoices):
    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


class User(AbstractUser):
    """A person who uses the desk. What they may do comes from role groups (`apps.core.roles`)."""

    theme = models.CharField(max_length=5, choices=Theme.choices, default=Theme.AUTO)

    def __str__(self) -> str:
        return self.username
