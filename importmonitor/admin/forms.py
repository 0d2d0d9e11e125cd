"""The forms in which an API token is made and changed; they work without a script."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.contrib.auth import get_user_model
from django.utils import formats, timezone
from django.utils.translation import gettext_lazy as _

from importmonitor.conf.options import MAX_DAYS
from importmonitor.models import ApiToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User, UserManager

    # Generic in the stubs alone.
    _ModelForm = forms.ModelForm[ApiToken]
else:
    _ModelForm = forms.ModelForm

NEVER = "never"
UNTIL = "until"
LASTING = (
    ("30", _("30 days")),
    ("90", _("90 days")),
    ("365", _("a year")),
    (NEVER, _("for ever")),
    (UNTIL, _("until the time below")),
)
#: Up to so many users are offered by name; more would be a long page, and a choice that hides
#: most of them.
OFFERED = 100


class MomentInput(forms.DateTimeInput):
    """The browser's own choice of a date and a time."""

    input_type = "datetime-local"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"class": "vTextField"} | (attrs or {}), format="%Y-%m-%dT%H:%M:%S")


class MomentField(forms.DateTimeField):
    """A time in the admin's time zone; it says which that is."""

    def __init__(self, **options: Any) -> None:
        zone = timezone.get_current_timezone_name()
        # A field of a model brings a text of its own: its column's, which is empty.
        super().__init__(**options | {"help_text": _("Time zone: %(zone)s.") % {"zone": zone}})


class UserNameInput(AdminTextInputWidget):
    """A user's name, with those that there are to choose from where they are few."""

    template_name = "admin/importmonitor/apitoken/user_name.html"

    def __init__(self) -> None:
        # Or a browser offers, and fills in, what somebody logs in with.
        super().__init__({"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"})

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        name_field = get_user_model().USERNAME_FIELD
        names = _users().order_by(name_field).values_list(name_field, flat=True)
        # As text, or a number's digits would be grouped.
        found = [str(each) for each in names[: OFFERED + 1]]
        if len(found) <= OFFERED:
            context["names"] = found
            context["widget"]["attrs"]["list"] = f"{context['widget']['attrs']['id']}_names"
        return context


class ChangeForm(_ModelForm):
    """Its name and when it expires; a time that has passed ends it at once."""

    def clean_expires_at(self) -> datetime | None:
        given: datetime | None = self.cleaned_data["expires_at"]
        if given is not None and given < self.instance.created_at:
            raise forms.ValidationError(_("It was made later than that."))
        return _within_a_century(given)


class TokenCreationForm(_ModelForm):
    """A token of one's own; `made_by` is set by whoever makes the form's class."""

    made_by: ClassVar["User"]

    lasts = forms.ChoiceField(label=_("Lasts"), choices=LASTING, initial="365")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].required = True
        self.fields["name"].help_text = _("What it is for, to tell it from others.")
        self.fields["expires_at"].label = _("Until")

    def owner(self) -> "User | None":
        """Return whom the token is to act for, or None if that was not said rightly."""
        return self.made_by

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        now = timezone.now()
        lasts, until = cleaned.get("lasts"), cleaned.get("expires_at")
        if "expires_at" not in self.errors:
            if lasts == UNTIL and until is None:
                self.add_error("expires_at", _("Say until when."))
            elif lasts == UNTIL and until is not None and until <= now:
                self.add_error("expires_at", _("This time has passed."))
            elif lasts != UNTIL and until is not None:
                # Which of the two is meant is not to be guessed.
                told = _("A time is given too: choose “until the time below”, or take it out.")
                self.add_error("lasts", told)
        if lasts not in {None, NEVER, UNTIL}:
            cleaned["expires_at"] = now + timedelta(days=int(lasts))
        owner = self.owner()
        if owner is not None and cleaned.get("name"):
            self.instance.user = owner
            self._refuse_another(owner, cleaned["name"])
        return cleaned

    def clean_expires_at(self) -> datetime | None:
        return _within_a_century(self.cleaned_data["expires_at"])

    def _refuse_another(self, owner: "User", name: str) -> None:
        """Refuse a second live token of that name: the form was sent twice, or they'd be mixed up.

        Whoever reloads the page that shows a token sends the form again.
        """
        # One after the other, where two come at once.
        _users().select_for_update().get(pk=owner.pk)
        now = timezone.now()
        same = ApiToken.objects.filter(user=owner, name=name).exclude(expires_at__lte=now).first()
        if same is not None:
            told = _(
                "%(user)s has a token of this name, made on %(time)s: %(token)s. Each is shown "
                "only once. If that one is lost, revoke it; if you want two, give each its name."
            )
            words = {
                "user": owner.get_username(),
                "token": same,
                "time": formats.date_format(
                    timezone.localtime(same.created_at), "SHORT_DATETIME_FORMAT"
                ),
            }
            self.add_error("name", forms.ValidationError(told, code="another", params=words))


class SuperuserTokenCreationForm(TokenCreationForm):
    """A token of anybody's, for superusers."""

    user = forms.CharField(
        label=_("User"),
        help_text=_("The name of the user that it acts for, with all of that user's permissions."),
        widget=UserNameInput,
    )

    def clean_user(self) -> "User":
        try:
            return _users().get_by_natural_key(self.cleaned_data["user"])
        except (get_user_model().DoesNotExist, ValueError):
            raise forms.ValidationError(_("There is no user of this name.")) from None

    def owner(self) -> "User | None":
        return self.cleaned_data.get("user")


def _users() -> "UserManager[User]":
    return get_user_model()._default_manager  # noqa: SLF001 - what Django's own log-in asks


def _within_a_century(moment: datetime | None) -> datetime | None:
    """Return a time as it is; what comes near the end of all times fits into no database."""
    if moment is not None and moment > timezone.now() + timedelta(days=MAX_DAYS):
        raise forms.ValidationError(_("That is more than a century away."))
    return moment
