"""All addresses of the desk: pages, REST, admin."""

from django.urls import include, path

urlpatterns = []
