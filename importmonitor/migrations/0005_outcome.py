from typing import Any

from django.db import migrations, models
from django.db.models import Case, F, Value, When


def store_outcomes(apps: Any, schema_editor: Any) -> None:
    """Fill the new column by the rule of the generated one that it replaces."""
    operations = apps.get_model("importmonitor", "ImportOperation").objects
    operations.using(schema_editor.connection.alias).exclude(end_reason="").update(
        outcome=Case(
            When(end_reason="done", count_error__gt=0, then=Value("done_with_errors")),
            When(
                end_reason="done",
                count_completed__lt=F("count_total"),
                then=Value("incomplete"),
            ),
            default=F("end_reason"),
        )
    )


def rename_in_alerts(apps: Any, schema_editor: Any) -> None:
    """Rename the outcome in stored alerts: those that are pending are rendered from it."""
    _rename_in_alerts(apps, schema_editor, "done_short", "incomplete")


def restore_in_alerts(apps: Any, schema_editor: Any) -> None:
    _rename_in_alerts(apps, schema_editor, "incomplete", "done_short")


def _rename_in_alerts(apps: Any, schema_editor: Any, old: str, new: str) -> None:
    alerts = apps.get_model("importmonitor", "Alert").objects.using(schema_editor.connection.alias)
    rows = alerts.filter(event="import.finished").only("body")
    for alert in rows.iterator(chunk_size=500):
        operation = alert.body.get("operation") or {}
        if operation.get("outcome") == old:
            operation["outcome"] = new
            alerts.filter(pk=alert.pk).update(body=alert.body)


class Migration(migrations.Migration):

    dependencies = [
        ('importmonitor', '0004_faster_filters'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='importoperation',
            name='importmonitor_op_outcome',
        ),
        migrations.RemoveIndex(
            model_name='importoperation',
            name='importmonitor_op_ws_outcome',
        ),
        migrations.RemoveField(
            model_name='importoperation',
            name='outcome',
        ),
        migrations.AddField(
            model_name='importoperation',
            name='outcome',
            field=models.CharField(blank=True, choices=[('done', 'Done'), ('done_with_errors', 'Done with errors'), ('incomplete', 'Incomplete'), ('failed', 'Failed'), ('interrupted', 'Interrupted'), ('superseded', 'Superseded'), ('canceled', 'Canceled')], default='', editable=False, max_length=20, verbose_name='outcome'),
        ),
        migrations.RunPython(store_outcomes, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(rename_in_alerts, restore_in_alerts, elidable=True),
        migrations.AddIndex(
            model_name='importoperation',
            index=models.Index(fields=['outcome', '-started_at', '-id'], name='importmonitor_op_outcome'),
        ),
        migrations.AddIndex(
            model_name='importoperation',
            index=models.Index(fields=['workspace', 'outcome', '-started_at', '-id'], name='importmonitor_op_ws_outcome'),
        ),
    ]
