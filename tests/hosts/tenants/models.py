"""The tenants of a host with django-tenants."""

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Tenant(TenantMixin):  # type: ignore[misc] # it has no types
    name = models.CharField(max_length=100)


class Domain(DomainMixin):  # type: ignore[misc] # as above
    pass
