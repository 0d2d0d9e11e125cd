"""The forms that create and change API tokens, acknowledge incidents, and plan maintenance."""

import re
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from importmonitor.conf.options import MAX_DAYS
from importmonitor.models import ApiToken, ImportOperation, Viewer
from importmonitor.models.incidents import MAX_HOURS, MAX_NOTE_LENGTH, plan_maintenance
from importmonitor.models.tokens import find_user, users

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    # Generic in the stubs alone.
    _ModelForm = forms.ModelForm[ApiToken]
else:
    _ModelForm = forms.ModelForm

#: When "tomorrow" is over.
MORNING = time(8)
# The keys of all databases are 64-bit integers.
MAX_KEY = 2**63 - 1


class TokenForm(_ModelForm):
    """The name of a token, and when it expires."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "expires_at" in self.fields:
            # The stock widget has two inputs and a label for neither.
            date, time = self.fields["expires_at"].widget.widgets
            date.attrs["aria-label"] = _("Expiry date")
            time.attrs["aria-label"] = _("Expiry time")

    def clean_expires_at(self) -> datetime | None:
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at is not None and "expires_at" in self.changed_data:
            now = timezone.now()
            if expires_at <= now:
                raise forms.ValidationError(_("This time is in the past."))
            # What is near the limit of datetime fits into no database.
            if expires_at > now + timedelta(days=MAX_DAYS):
                raise forms.ValidationError(_("This is more than a century away."))
        return expires_at


class TokenCreationForm(TokenForm):
    """A token for the user who creates it; the admin sets `creator`."""

    creator: ClassVar["User"]

    # No choices: there may be thousands.
    workspaces = forms.CharField(
        label=_("Workspaces"),
        required=False,
        help_text=_(
            "Aliases, separated by commas, that the token is limited to. Leave empty for all "
            "workspaces that its user may see."
        ),
        widget=AdminTextInputWidget({"autocomplete": "off", "autocapitalize": "none"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].required = True
        self.fields["name"].help_text = _("What the token is for.")
        self.fields["expires_at"].help_text = _("Leave empty for a token that never expires.")

    def owner(self) -> "User | None":
        return self.creator

    def clean_workspaces(self) -> list[str] | None:
        aliases = re.split(r"[,\s]+", self.cleaned_data["workspaces"].strip(", "))
        viewer = Viewer(self.creator)
        # The same for one that is hidden from who creates the token.
        if unknown := [alias for alias in filter(None, aliases) if not viewer.may_see(alias)]:
            message = _("There is no workspace %(alias)s.")
            raise forms.ValidationError(message, params={"alias": unknown[0]})
        return list(filter(None, aliases)) or None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        owner, name = self.owner(), cleaned.get("name")
        if owner is not None and name:
            self.instance.user = owner
            # Locked, so that of two forms sent at once the second one sees the first one's token.
            users().select_for_update().get(pk=owner.pk)
            tokens = ApiToken.objects.filter(user=owner, name=name)
            # Reloading the page that shows a token sends the form again.
            if tokens.exclude(expires_at__lte=timezone.now()).exists():
                self.add_error("name", _("This user already has a valid token with this name."))
        return cleaned


class SuperuserTokenCreationForm(TokenCreationForm):
    """A token for any user, whose name is typed: the host's user admin may not be registered."""

    user = forms.CharField(
        label=_("User"),
        help_text=_("The token acts for the user with this name, with all their permissions."),
        # Otherwise a browser fills in the name that its user logs in with.
        widget=AdminTextInputWidget({"autocomplete": "off", "autocapitalize": "none"}),
    )

    def clean_user(self) -> "User":
        user = find_user(self.cleaned_data["user"])
        if user is None:
            raise forms.ValidationError(_("There is no user with this name."))
        return user

    def owner(self) -> "User | None":
        return self.cleaned_data.get("user")


class AcknowledgementForm(forms.Form):
    """Until when incidents are acknowledged, and why."""

    HOUR, TOMORROW, OVER = "hour", "tomorrow", "over"

    until = forms.ChoiceField(choices=[(name, name) for name in (HOUR, TOMORROW, OVER)])
    note = forms.CharField(max_length=MAX_NOTE_LENGTH, required=False)

    def until_at(self, now: datetime) -> datetime | None:
        """Return the time, None for "until it is over"."""
        until = self.cleaned_data["until"]
        if until == self.HOUR:
            return now + timedelta(hours=1)
        return next_morning(now) if until == self.TOMORROW else None


def next_morning(now: datetime) -> datetime:
    """Return when work begins on the next day, in the present time zone."""
    tomorrow = timezone.localtime(now).date() + timedelta(days=1)
    return timezone.make_aware(datetime.combine(tomorrow, MORNING))


class MaintenanceForm(forms.Form):
    """When the alerts of a workspace are muted; or those of an import, until it ends."""

    workspace = forms.CharField()
    operation = forms.IntegerField(required=False, min_value=1, max_value=MAX_KEY)
    since = forms.DateTimeField(required=False)
    hours = forms.FloatField(required=False, min_value=0.1, max_value=MAX_HOURS)
    note = forms.CharField(max_length=MAX_NOTE_LENGTH, required=False)

    def __init__(self, *args: Any, viewer: Viewer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.viewer = viewer

    def clean_workspace(self) -> str:
        alias: str = self.cleaned_data["workspace"]
        # As if it were not configured, if it is hidden from the user.
        if not self.viewer.may_see(alias):
            raise forms.ValidationError(_("This workspace is not configured."))
        return alias

    def clean_operation(self) -> ImportOperation | None:
        key, alias = self.cleaned_data["operation"], self.cleaned_data.get("workspace")
        # Without a workspace, that is the error: whether there is the import stays a secret.
        if key is None or alias is None:
            return None
        rows = ImportOperation.objects.filter(pk=key, workspace=alias)
        operation = rows.first()
        if operation is None or not operation.is_active:
            raise forms.ValidationError(_("This import has ended."))
        return operation

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        now, hours = timezone.now(), cleaned.pop("hours")
        if cleaned["operation"] is not None:
            return cleaned | {"since": now, "until": None}
        since, until = plan_maintenance(now, since=cleaned["since"], until=None, hours=hours)
        return cleaned | {"since": since, "until": until}
