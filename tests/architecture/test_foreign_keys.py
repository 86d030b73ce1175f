"""Foreign keys are calls that import-linter cannot see: each must point to a strictly lower app or its own."""

import pytest
from django.apps import apps
from django.conf import settings

LAYERS = (
    {"core"},
    {"alerts"},
    {"marketdata"},
    {"portfolios", "news"},
    {"risk", "compliance"},
    {"strategies"},
    {"execution"},
    {"analytics"},
    {"desk"},
)
HEIGHT = {app: height for height, layer in enumerate(LAYERS) for app in layer}
#: Django's own tables lie below everything.
GROUND = {"auth", "contenttypes", "sessions", "django_celery_beat", "token_blacklist"}

OURS = [config.label for config in apps.get_app_configs() if config.name.startswith("apps.")]
RELATIONS = [
    (model, field)
    for label in OURS
    for model in apps.get_app_config(label).get_models(include_auto_created=True)
    for field in model._meta.get_fields()
    if field.is_relation and field.concrete
]


def allowed(source: str, target: str) -> bool:
    return target == source or target in GROUND or HEIGHT[target] < HEIGHT[source]


def test_every_installed_app_has_a_layer() -> None:
    assert set(OURS) <= set(HEIGHT)
    assert [name for name in settings.INSTALLED_APPS if name.startswith("apps.")] == [apps.get_app_config(label).name for label in OURS]


@pytest.mark.parametrize(("model", "field"), RELATIONS, ids=lambda value: getattr(value, "name", None) or value._meta.label)
def test_relation_points_down(model, field) -> None:
    source, target = model._meta.app_label, field.related_model._meta.app_label
    assert allowed(source, target), f"{model._meta.label}.{field.name} points up to {target}"


def test_the_rule_refuses_what_points_up() -> None:
    assert not allowed("marketdata", "portfolios")
    assert not allowed("risk", "compliance")
    assert allowed("execution", "portfolios")


def test_relations_leave_no_reverse_accessor_across_apps() -> None:
    """A reverse accessor would let a lower app read a higher one's tables."""
    leaks = [
        f"{model._meta.label}.{field.name}"
        for model, field in RELATIONS
        if model._meta.app_label != field.related_model._meta.app_label
        and not field.remote_field.hidden
        and not model.__name__.startswith("Historical")
        and field.related_model._meta.app_label in HEIGHT
    ]
    assert leaks == []
