import factory
from django.contrib.auth.models import Group

from apps.core.models import User
from apps.core.roles import Role

PASSWORD = "correct horse battery"


class UserFactory(factory.django.DjangoModelFactory):
    """A user. `UserFactory(role=Role.RISK)` puts them into that role's group."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    password = factory.django.Password(PASSWORD)

    @factory.post_generation
    def role(self, create: bool, role: Role | None, **_: object) -> None:
        if create and role is not None:
            self.groups.add(Group.objects.get(name=role.value))
