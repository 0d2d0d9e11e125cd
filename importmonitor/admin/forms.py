"""The forms that create and change an API token."""

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from importmonitor.conf.options import MAX_DAYS
from importmonitor.models import ApiToken, Viewer
from importmonitor.models.tokens import find_user, users

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    # Generic in the stubs alone.
    _ModelForm = forms.ModelForm[ApiToken]
else:
    _ModelForm = forms.ModelForm


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
