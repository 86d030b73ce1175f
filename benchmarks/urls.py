"""The desk's addresses and one bare view, which inserts twenty rows in one transaction and does nothing else."""

from django.db import connection, transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from smarttrader.urls import urlpatterns as desk

ROWS = 20


@csrf_exempt
def bare(_request: HttpRequest) -> JsonResponse:
    with transaction.atomic(), connection.cursor() as cursor:
        for number in range(ROWS):
            cursor.execute("insert into bench_bare (number, body) values (%s, %s)", (number, "x" * 100))
    return JsonResponse({"rows": ROWS})


urlpatterns = [path("bench/bare", bare), *desk]
