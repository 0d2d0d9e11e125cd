"""API tokens: created here, shown once, renamed, expired and deleted.

A token has all the permissions of its user, for all workspaces that they may see or for some. So
superusers manage the tokens of all users, and other users with the permissions to add, change or
delete API tokens manage their own only: otherwise they could create one that acts for a superuser.

A token outlives a change of its user's password: programs use it, and people change passwords for
reasons that do not concern them. So the list says so, and can revoke all tokens of the user.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.debug import sensitive_variables

from importmonitor import permissions
from importmonitor.admin import display, times
from importmonitor.admin.forms import SuperuserTokenCreationForm, TokenCreationForm, TokenForm
from importmonitor.admin.mixins import PermissionFirstMixin
from importmonitor.models import ApiToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    # Generic in the stubs alone.
    _ModelAdmin = admin.ModelAdmin[ApiToken]
else:
    _ModelAdmin = admin.ModelAdmin

VALID = display.Badge(pgettext_lazy("API token", "valid"), "✓", "good")
EXPIRES_SOON = display.Badge(gettext_lazy("expires soon"), "!", "warn")
EXPIRED = display.Badge(gettext_lazy("expired"), "✕", "quiet")
USER_INACTIVE = display.Badge(gettext_lazy("user inactive"), "⊘", "quiet")
NAME = "importmonitor_apitoken"
#: How long before its end a token expires soon.
SOON = timedelta(days=14)
#: Suggested for a new token.
LIFETIME = timedelta(days=365)


@admin.register(ApiToken)
class ApiTokenAdmin(PermissionFirstMixin, _ModelAdmin):
    """All tokens for superusers, their own for other users."""

    list_display = ("label", "user", "state", "used", "created", "limit")
    list_select_related = ("user",)
    list_per_page = 50
    search_fields = ("name", "prefix")
    search_help_text = gettext_lazy(
        "Search by name, or by the first 12 characters of a token. Never paste a whole token: "
        "searches stay in the browser's history and in logs."
    )
    show_facets = admin.ShowFacets.NEVER
    readonly_fields = ("user", "state", "prefix", "created", "used", "limit")

    class Media:
        css = {"all": ("importmonitor/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        """Return the tokens that the user may manage; every view begins with them.

        The permissions themselves do not depend on the owner: users with the permission to delete
        users have to be able to delete their tokens along with them.
        """
        tokens = super().get_queryset(request)
        return tokens if _is_superuser(request) else tokens.filter(user=_user(request))

    def get_list_display(self, request: HttpRequest) -> Any:
        return [name for name in self.list_display if name != "user" or _is_superuser(request)]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        return self.readonly_fields if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        if obj is not None:
            return [(None, {"fields": ("name", "expires_at", *self.readonly_fields)})]
        fields = ("name", "workspaces", "expires_at")
        if _is_superuser(request):
            return [(None, {"fields": ("user", *fields)})]
        description = format_html(
            _("The token acts for you, {user}, with all your permissions."),
            user=_user(request).get_username(),
        )
        return [(None, {"fields": fields, "description": description})]

    def get_form(
        self, request: HttpRequest, obj: ApiToken | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, form=TokenForm, **kwargs)
        base = SuperuserTokenCreationForm if _is_superuser(request) else TokenCreationForm
        form: Any = super().get_form(request, obj, change, **kwargs | {"form": base})
        form.creator = request.user
        return form

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        # Nothing from the URL: no link can fill in the form.
        return {"expires_at": timezone.now() + LIFETIME}

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # What follows is the page that shows the token.
        context = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, context | (extra_context or {}))

    @sensitive_variables()
    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        if change:
            # Nothing else, so that a use recorded in the meantime is kept.
            obj.save(update_fields=["name", "expires_at"])
            return
        created, text = ApiToken.objects.issue(
            obj.user, name=obj.name, expires_at=obj.expires_at, workspaces=obj.workspaces
        )
        obj.pk = created.pk
        obj.refresh_from_db()
        # For response_add only: it is gone with this object, at the end of the request.
        vars(obj)["text"] = text

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """Name the owner in the admin's log, which outlives the token."""
        if not add:
            return super().construct_change_message(request, form, formsets, add)
        name = f"{form.instance}, {form.instance.user.get_username()}"
        return [{"added": {"name": str(self.opts.verbose_name), "object": name}}]

    @sensitive_variables()
    def response_add(
        self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the token in the response to the POST itself, so that it is stored nowhere.

        Rendered here: should that fail, the error report shows no variable below this function.
        """
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("API token created"),
            "opts": self.opts,
            "media": self.media,
            "token": obj,
            "text": vars(obj)["text"],
            "notice": _notice(obj.user),
            "expires": times.format_time(obj.expires_at),
            "limit": self.limit(obj),
            "can_list": self.has_view_or_change_permission(request),
        }
        template = "admin/importmonitor/apitoken/created.html"
        return TemplateResponse(request, template, context).render()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.revoke_all)
        return [path("revoke/", view, name=f"{NAME}_revoke"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {
            "title": _("API tokens") if _is_superuser(request) else _("Your API tokens"),
            "can_revoke": self.has_delete_permission(request),
        }
        return super().changelist_view(request, context | (extra_context or {}))

    def revoke_all(self, request: HttpRequest) -> HttpResponse:
        """Delete all tokens of the user themself, after a confirmation.

        Of superusers too: a click must not stop the programs of everyone.
        """
        if not self.has_delete_permission(request):
            raise PermissionDenied
        tokens = self.get_queryset(request).filter(user=_user(request))
        if tokens.exists():
            confirmation: TemplateResponse | None = delete_selected(self, request, tokens)
            if confirmation is not None:
                assert confirmation.context_data is not None
                confirmation.context_data["title"] = _("Revoke all your API tokens")
                return confirmation
        else:
            messages.info(request, _("You have no API tokens."))
        # Like Django after a deletion: the permission to delete does not include the list.
        can_list = self.has_view_or_change_permission(request)
        return HttpResponseRedirect(
            reverse(
                f"admin:{NAME}_changelist" if can_list else "admin:index",
                current_app=self.admin_site.name,
            )
        )

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def label(self, token: ApiToken) -> SafeString:
        name = token.name or _("unnamed")
        return format_html('{}&#32;<code class="im-file" dir="ltr">{}…</code>', name, token.prefix)

    @admin.display(description=gettext_lazy("workspaces"))
    def limit(self, token: ApiToken) -> SafeString | str:
        if token.workspaces is None:
            return _("all that the user may see")
        return format_html_join(", ", "<bdi>{}</bdi>", ((alias,) for alias in token.workspaces))

    @admin.display(description=gettext_lazy("state"), ordering="expires_at")
    def state(self, token: ApiToken) -> SafeString:
        # In words: on a phone, the columns have no header.
        if token.expires_at is None:
            expiry: str = _("never expires")
        else:
            text = _("since {time}") if token.is_expired else _("until {time}")
            expiry = format_html(text, time=times.format_time(token.expires_at))
        return format_html("{}&#32;{}", display.render_badge(_badge(token)), expiry)

    @admin.display(description=gettext_lazy("last used"), ordering="last_used_at")
    def used(self, token: ApiToken) -> SafeString | str:
        return times.compact_time(token.last_used_at) if token.last_used_at else _("never used")

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, token: ApiToken) -> SafeString:
        return times.compact_time(token.created_at)


def _user(request: HttpRequest) -> "User":
    return cast("User", request.user)


def _is_superuser(request: HttpRequest) -> bool:
    # The host's user model may not have it.
    return bool(getattr(request.user, "is_superuser", False))


def _badge(token: ApiToken) -> display.Badge:
    if token.is_expired:
        return EXPIRED
    if not token.user.is_active:
        return USER_INACTIVE
    if token.expires_at and token.expires_at - timezone.now() < SOON:
        return EXPIRES_SOON
    return VALID


def _notice(user: "User") -> tuple[str, str] | None:
    """Return what a new token of this user does not give access to, with the message's level."""
    names = {"run": permissions.RUN_IMPORT, "view": permissions.VIEW}
    if not user.is_active:
        return "warning", _("This user is inactive; the token will not work.")
    if not permissions.can_view_imports(user):
        text = _(
            "This user may not see imports; requests will be refused (403). Grant %(run)s for "
            "Rocket.Chat's endpoints and the REST API, or %(view)s for the REST API alone."
        )
        return "warning", text % names
    if not permissions.has_perm(user, permissions.RUN_IMPORT):
        text = _(
            "The token works for the REST API. Rocket.Chat's getCurrentImportOperation needs "
            "%(run)s too."
        )
        return "info", text % names
    return None
