from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("risk", "0011_limit_event_part")]

    operations = [
        migrations.AddField(
            model_name="monitorstate",
            name="alive_at",
            field=models.DateTimeField(help_text="Wall time at which the holder had last done a part of a longer work", null=True),
        )
    ]
