import pytest
from django.contrib.auth.models import Group

from apps.core.models import User
from apps.core.roles import Role
from apps.marketdata.services.vendors import vendors_synchronise


@pytest.fixture
def vendors(db: None) -> None:
    """The rows that migration makes, also after a test that emptied the tables."""
    vendors_synchronise()


@pytest.fixture
def operator(db: None) -> User:
    user = User.objects.create_user("olga")
    user.groups.add(Group.objects.get_or_create(name=Role.OPERATOR)[0])
    return user
