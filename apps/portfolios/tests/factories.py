"""Portfolios, books and ledger entries for tests of this app and of those above it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import factory
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from apps.marketdata.models import AssetClass, Instrument
from apps.portfolios.models import Book, EntryKind, LedgerEntry, Portfolio, PortfolioMembership, PortfolioRole
from apps.portfolios.services.ledger import entry_post
from apps.portfolios.services.portfolios import portfolio_create

START = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = get_user_model()

    username = factory.Sequence(lambda n: f"user{n}")


class InstrumentFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Instrument
        django_get_or_create = ("symbol",)

    symbol = factory.Sequence(lambda n: f"SYM{n}")
    name = factory.LazyAttribute(lambda o: f"{o.symbol} Inc.")
    asset_class = AssetClass.STOCK


class PortfolioFactory(factory.Factory):
    """Opened through the service: with its book "main", its owner as manager and the capital in cash."""

    class Meta:
        model = Portfolio

    name = factory.Sequence(lambda n: f"portfolio {n}")
    owner = factory.SubFactory(UserFactory)
    initial_capital = Decimal(100_000)
    effective_at = START
    recorded_at = START

    @classmethod
    def _create(cls, model_class, *args, **kwargs):  # noqa: ARG003 - the signature is factory_boy's
        return portfolio_create(**kwargs)


class BookFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Book

    portfolio = factory.SubFactory(PortfolioFactory)
    name = factory.Sequence(lambda n: f"book {n}")
    created_at = START


class PortfolioMembershipFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = PortfolioMembership

    portfolio = factory.SubFactory(PortfolioFactory)
    user = factory.SubFactory(UserFactory)
    role = PortfolioRole.TRADER


class LedgerEntryFactory(factory.Factory):
    """A trade posted through the service (`quantity` signed, `price`), in the portfolio's book "main" unless `book_id` is given."""

    class Meta:
        model = LedgerEntry

    portfolio_id = factory.LazyFunction(lambda: PortfolioFactory().pk)
    book_id = factory.LazyAttribute(lambda o: Book.objects.get(portfolio_id=o.portfolio_id, name="main").pk)
    kind = EntryKind.TRADE
    instrument_id = factory.LazyFunction(lambda: InstrumentFactory().pk)
    quantity = Decimal(100)
    price = Decimal(10)
    fee = Decimal(0)
    source = "test"
    source_ref = factory.Sequence(str)
    effective_at = factory.Sequence(lambda n: START + timedelta(seconds=n))
    recorded_at = factory.SelfAttribute("effective_at")

    @classmethod
    def _create(cls, model_class, *args, **kwargs):  # noqa: ARG003 - the signature is factory_boy's
        return entry_post(**kwargs)


class CashEntryFactory(LedgerEntryFactory):
    """A deposit, unless `kind` and `amount` say otherwise."""

    kind = EntryKind.DEPOSIT
    instrument_id = None
    quantity = Decimal(0)
    price = None
    amount = Decimal(1000)


def permitted(user, *names):
    """The user, read again, with permissions of this app."""
    user.user_permissions.add(*Permission.objects.filter(content_type__app_label="portfolios", codename__in=names))
    return type(user).objects.get(pk=user.pk)
