"""What a user may do, asked afresh for each order: a permission taken away counts from the next order on."""

from django.db import connection

# What User.has_perm answers by three queries, in one: active, and superuser or holder of the permission, directly or by a group.
_HOLDS = """
    select 1 from core_user u where u.id = %(user)s and u.is_active and (u.is_superuser or exists (
        select 1 from auth_permission p join django_content_type t on t.id = p.content_type_id
        where t.app_label = %(app)s and p.codename = %(codename)s and (
            exists (select 1 from core_user_user_permissions own where own.user_id = u.id and own.permission_id = p.id)
            or exists (select 1 from core_user_groups g join auth_group_permissions gp on gp.group_id = g.group_id
                where g.user_id = u.id and gp.permission_id = p.id))))
"""


def user_holds(user_id: int, permission: str) -> bool:
    """True when the active user has the permission "app.codename"."""
    app, codename = permission.split(".")
    with connection.cursor() as cursor:
        cursor.execute(_HOLDS, {"user": user_id, "app": app, "codename": codename})
        return cursor.fetchone() is not None
