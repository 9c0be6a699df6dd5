"""The contract says everything a reader needs: each field has a behaviour, and what the server offers fits it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from impasto.v1 import image_pb2, job_pb2, server_info_pb2, stylizer_pb2
from impasto_server.codec import FORMATS
from impasto_server.jobs import State
from impasto_server.recipes import PARAMETERS

FILES = (image_pb2, job_pb2, server_info_pb2, stylizer_pb2)


def fields() -> Iterator[FieldDescriptor]:
    def of(message: Descriptor) -> Iterator[FieldDescriptor]:
        if not message.GetOptions().map_entry:
            yield from message.fields
        for nested in message.nested_types:
            yield from of(nested)

    for file in FILES:
        for message in file.DESCRIPTOR.message_types_by_name.values():
            yield from of(message)


@pytest.mark.parametrize("field", list(fields()), ids=lambda field: field.full_name)
def test_a_field_says_whether_it_is_required_optional_or_the_servers(field: FieldDescriptor) -> None:
    behaviours = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    known = (field_behavior_pb2.REQUIRED, field_behavior_pb2.OPTIONAL, field_behavior_pb2.OUTPUT_ONLY)
    assert len(behaviours) == 1
    assert behaviours[0] in known


def test_every_parameter_of_a_recipe_is_a_field_and_the_other_way_round() -> None:
    assert {parameter.name for parameter in PARAMETERS} == {
        field.name for field in job_pb2.Parameters.DESCRIPTOR.fields
    }


def test_every_state_and_every_format_has_its_number() -> None:
    assert {f"STATE_{state.name}" for state in State} == set(job_pb2.Job.State.keys()) - {"STATE_UNSPECIFIED"}
    assert {f"IMAGE_FORMAT_{name}" for name in FORMATS} <= set(image_pb2.ImageFormat.keys())
