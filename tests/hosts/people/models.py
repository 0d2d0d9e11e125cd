"""A user model of a host."""

import uuid
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class PersonManager(BaseUserManager["Person"]):
    def create_person(self, email: str, **fields: Any) -> "Person":
        person = self.model(email=email, **fields)
        person.set_unusable_password()
        person.save()
        return person


class Person(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)

    people = PersonManager()

    USERNAME_FIELD = "email"


class Robot(AbstractBaseUser, PermissionsMixin):
    """A user who is named by a UUID."""

    number = models.UUIDField(unique=True, default=uuid.uuid4)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)

    robots = BaseUserManager["Robot"]()

    USERNAME_FIELD = "number"

    def __str__(self) -> str:
        return f"Robot {self.number}"
