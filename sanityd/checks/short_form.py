"""Options that may be written in a short form: `unique: email`."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue


class ShortForm(BaseModel):
    """Options of a rule. In the short form only the value of one field is written."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    #: The field that the short form of a rule fills; None: there is no short form.
    short: ClassVar[str | None] = None

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: Any) -> Any:
        """`{email: email}` means `{columns: {email: email}}`.

        A mapping with the name of a field is the long form.
        """
        if cls.short is None:
            return value
        names = {field.alias or name for name, field in cls.model_fields.items()}
        if isinstance(value, dict) and names & value.keys():
            return value
        return {cls.model_fields[cls.short].alias or cls.short: value}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: Any, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema of both forms.

        In the short form no column has the name of an option: that would be the long form.
        """
        long = handler.resolve_ref_schema(handler(core))
        if cls.short is None:
            return long
        option = long["properties"][cls.model_fields[cls.short].alias or cls.short]
        brief = {
            word: value
            for word, value in option.items()
            if word not in ("title", "description", "examples")
        }
        if "additionalProperties" in brief:
            brief["propertyNames"] = {"not": {"enum": list(long["properties"])}}
        # The long form first: editors offer its keys when nothing is written yet.
        return {"anyOf": [long, brief]}
