from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("risk", "0010_measured")]

    operations = [
        migrations.AddField(
            model_name="limitevent",
            name="part",
            field=models.CharField(blank=True, default="", help_text="Book, instrument or sector; empty for the whole portfolio", max_length=120),
        ),
    ]
