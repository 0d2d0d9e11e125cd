

import datetime
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('importmonitor', '0005_outcome'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='syncperiod',
            options={'default_permissions': ('view',), 'ordering': ('-last_at', '-pk'), 'verbose_name': 'sync period', 'verbose_name_plural': 'workspaces'},
        ),
        migrations.AlterField(
            model_name='alert',
            name='key',
            field=models.CharField(help_text='The same for every attempt and channel, so that receivers can deduplicate.', max_length=150, verbose_name='idempotency key'),
        ),
        migrations.AlterField(
            model_name='importoperation',
            name='end_reason',
            field=models.CharField(blank=True, choices=[('done', 'Done'), ('failed', 'Failed'), ('interrupted', 'Interrupted'), ('superseded', 'Superseded'), ('canceled', 'Canceled')], max_length=20, verbose_name='end'),
        ),
        migrations.AlterField(
            model_name='importoperation',
            name='last_seen_at',
            field=models.DateTimeField(help_text='The last poll that changed this row. The sync periods have the polls since then.', verbose_name='last seen'),
        ),
        migrations.AlterField(
            model_name='importoperation',
            name='modified_at',
            field=models.DateTimeField(default=django.utils.timezone.now, help_text='When a sync last wrote this row.', verbose_name='modified'),
        ),
        migrations.AlterField(
            model_name='importoperation',
            name='rate',
            field=models.FloatField(help_text='Records per second, recently.', null=True, verbose_name='rate'),
        ),
        migrations.AlterField(
            model_name='importoperation',
            name='started_at',
            field=models.DateTimeField(help_text='When Rocket.Chat created it; if that is unreadable, when it was first seen.', verbose_name='started'),
        ),
        migrations.AlterField(
            model_name='importoperation',
            name='waiting_since',
            field=models.DateTimeField(help_text='Set when it had waited for input so long that an alert was sent.', null=True, verbose_name='waiting since'),
        ),
        migrations.AlterField(
            model_name='importoperation',
            name='watched_at_progress',
            field=models.DurationField(default=datetime.timedelta, help_text='The total time the workspace had been watched at its last progress.', verbose_name='watched at last progress'),
        ),
        migrations.AlterField(
            model_name='statustransition',
            name='reason',
            field=models.CharField(choices=[('remote', 'Reported by Rocket.Chat'), ('invalidated', 'Invalidated by Rocket.Chat'), ('superseded', 'Superseded by a newer import'), ('stalled', 'Stalled'), ('resumed', 'Resumed'), ('reopened', 'Reopened')], max_length=20, verbose_name='reason'),
        ),
        migrations.AlterField(
            model_name='synclease',
            name='pruned_before',
            field=models.DateTimeField(help_text='Operations that started before this and are over were deleted, and stay so.', null=True, verbose_name='pruned before'),
        ),
        migrations.AlterField(
            model_name='syncperiod',
            name='outcome',
            field=models.CharField(max_length=40, verbose_name='sync status'),
        ),
        migrations.AlterField(
            model_name='syncperiod',
            name='watched',
            field=models.DurationField(default=datetime.timedelta, help_text='The total time in which this workspace could be polled, up to and including this period. A long pause between two polls counts as a short one.', verbose_name='watched'),
        ),
    ]
