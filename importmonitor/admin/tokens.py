"""The API tokens of internal tools: made here, shown once, named, expired and revoked.

A token has all the rights of its user. So a superuser makes, sees and revokes those of everybody,
and whoever else may add, change or delete API tokens does so with their own alone: otherwise they
could make one that acts for a superuser.
"""

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_variables

from importmonitor.admin import display, forms, token_words
from importmonitor.admin.mixins import PermissionFirstMixin
from importmonitor.models import ApiToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    # Generic in the stubs alone.
    _ModelAdmin = admin.ModelAdmin[ApiToken]
else:
    _ModelAdmin = admin.ModelAdmin

_FOLDER = "admin/importmonitor/apitoken/"


@admin.register(ApiToken)
class ApiTokenAdmin(PermissionFirstMixin, _ModelAdmin):
    """Everybody's tokens for superusers, one's own for everybody else."""

    list_display = ("named", "user", "state", "used", "created")
    list_select_related = ("user",)
    list_per_page = 50
    search_fields = ("name", "prefix")
    search_help_text = gettext_lazy(
        "Search by name, or by the first 12 characters of a token. Never by all of it: what is "
        "searched for stays in the browser's history and in logs."
    )
    show_facets = admin.ShowFacets.NEVER
    actions = ("delete_selected",)
    readonly_fields = ("stands", "user", "beginning", "created", "used")
    # The browser's own choice of a time: Django's wants a script.
    formfield_overrides = {
        models.DateTimeField: {
            "form_class": forms.MomentField,
            "widget": forms.MomentInput,
        }
    }

    class Media:
        css = {"all": ("importmonitor/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        """Return what somebody may see; every view of this page begins with it.

        The permissions themselves do not look at whose a token is: who may delete users has to be
        able to delete their tokens along with them.
        """
        tokens = super().get_queryset(request)
        if _is_superuser(request):
            return tokens
        return tokens.filter(user=cast("User", request.user))

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        # By `?digest__startswith=` one could read it, a character at a time.
        return not lookup.startswith("digest") and super().lookup_allowed(lookup, value, request)

    def get_list_display(self, request: HttpRequest) -> Any:
        return [name for name in self.list_display if name != "user" or _is_superuser(request)]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        return self.readonly_fields if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        if obj is not None:
            return [(None, {"fields": ("name", "expires_at", *self.readonly_fields)})]
        fields = ("name", "lasts", "expires_at")
        if _is_superuser(request):
            return [(None, {"fields": ("user", *fields)})]
        told = format_html(
            _("The token will act for you, {user}, with the permissions that you have."),
            user=request.user.get_username(),
        )
        return [(None, {"fields": fields, "description": told})]

    def get_form(
        self, request: HttpRequest, obj: ApiToken | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, form=forms.ChangeForm, **kwargs)
        kwargs["form"] = (
            forms.SuperuserTokenCreationForm if _is_superuser(request) else forms.TokenCreationForm
        )
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.made_by = request.user
        return form

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        # Nothing from the URL: nobody is to be sent a link that has filled in the form.
        return {}

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # What comes after is the page that shows the token.
        context = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, context | (extra_context or {}))

    @sensitive_variables()
    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        if change:
            # Nothing else: what the API has written since of its use stays.
            obj.save(update_fields=["name", "expires_at"])
            return
        made, text = ApiToken.objects.issue(obj.user, name=obj.name, expires_at=obj.expires_at)
        obj.pk = made.pk
        obj.refresh_from_db()
        # For response_add, and nowhere else: it goes with this object, at the end of the request.
        obj.text = text  # type: ignore[attr-defined] # no field: it is stored nowhere

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """Say in the admin's log whose token was made: it stays when the token has gone."""
        if not add:
            return super().construct_change_message(request, form, formsets, add)
        told = f"{form.instance}, {form.instance.user.get_username()}"
        return [{"added": {"name": str(self.opts.verbose_name), "object": told}}]

    @sensitive_variables()
    def response_add(
        self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the token, in the answer to the POST itself, so that nothing has to keep its text.

        Rendered here: should that fail, the report of the error shows no variable below this
        function.
        """
        text: str = obj.text  # type: ignore[attr-defined] # save_model has put it there
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("The API token is made"),
            "opts": self.opts,
            "media": self.media,
            "token": obj,
            "text": text,
            "curl": token_words.curl(request, obj, text),
            "told": token_words.told(obj.user),
            "expires": display.format_datetime(obj.expires_at),
            "may_list": self.has_view_or_change_permission(request),
        }
        return TemplateResponse(request, f"{_FOLDER}made.html", context).render()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = _("API tokens") if _is_superuser(request) else _("Your API tokens")
        return super().changelist_view(request, {"title": title} | (extra_context or {}))

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        context |= {"title": _("Revoke an API token"), "rows": [token_words.row(context["object"])]}
        return super().render_delete_form(request, context)

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        messages.success(request, _("Revoked: %(token)s.") % {"token": obj_display})
        page = "importmonitor_apitoken_changelist"
        page = page if self.has_view_or_change_permission(request) else "index"
        return HttpResponseRedirect(reverse(f"admin:{page}", current_app=self.admin_site.name))

    # By the name of Django's own action, in whose place it stands.
    @admin.action(permissions=["delete"], description=gettext_lazy("Revoke selected API tokens"))
    def delete_selected(
        self, request: HttpRequest, queryset: QuerySet[ApiToken]
    ) -> HttpResponse | None:
        """Revoke several, after a page that says what stops working."""
        tokens = list(queryset.select_related("user"))
        if request.POST.get("post"):
            with transaction.atomic():
                self.log_deletions(request, queryset)
                self.delete_queryset(request, queryset)
            told = ngettext(
                "%(count)d API token revoked.", "%(count)d API tokens revoked.", len(tokens)
            )
            messages.success(request, told % {"count": len(tokens)})
            return None
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("Revoke API tokens"),
            "opts": self.opts,
            "media": self.media,
            "rows": [token_words.row(token) for token in tokens],
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, f"{_FOLDER}delete_selected_confirmation.html", context)

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def named(self, token: ApiToken) -> SafeString:
        return token_words.named(token)

    @admin.display(description=gettext_lazy("begins with"))
    def beginning(self, token: ApiToken) -> SafeString:
        return format_html("<code>{}…</code>", token.prefix)

    @admin.display(description=gettext_lazy("state"))
    def stands(self, token: ApiToken) -> SafeString:
        return display.render_badge(token_words.badge(token))

    @admin.display(description=gettext_lazy("expires"), ordering="expires_at")
    def state(self, token: ApiToken) -> SafeString:
        # In words: on a phone, no head of a column says what this is.
        until: str = _("for ever")
        if token.expires_at:
            told = "{}" if token.is_expired else _("until {}")
            until = format_html(told, display.format_datetime(token.expires_at))
        return format_html("{} {}", display.render_badge(token_words.badge(token)), until)

    @admin.display(description=gettext_lazy("last used"), ordering="last_used_at")
    def used(self, token: ApiToken) -> SafeString | str:
        return display.time_since(token.last_used_at) if token.last_used_at else _("never used")

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, token: ApiToken) -> SafeString:
        return display.format_datetime(token.created_at)


def _is_superuser(request: HttpRequest) -> bool:
    # A user model of the host's may know of none.
    return bool(getattr(request.user, "is_superuser", False))
