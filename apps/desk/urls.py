"""Addresses of the desk's own pages."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from apps.desk import pages

urlpatterns = [
    path("", pages.home, name="dashboard"),
    path("login", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("settings", pages.settings, name="settings"),
    path("settings/theme", pages.theme, name="theme"),
    path("settings/portfolio", pages.portfolio_choose, name="portfolio-choose"),
]
