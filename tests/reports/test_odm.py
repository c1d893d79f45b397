"""The ODM file: valid by CDISC's schema, read by odmlib, and compared with the CSV value by value."""

import xml.etree.ElementTree as ET
from collections import Counter
from importlib.resources import files

import pytest
from lxml import etree
from odmlib.loader import ODMLoader
from odmlib.odm_loader import XMLODMLoader

from reports.export import export_bundle
from tests.cast import Stage
from tests.reports.bundle_of import FRIDAY
from tests.reports.cdisc_of import AS_XML, SIDE_EFFECTS, two_sites

ODM = "{http://www.cdisc.org/ns/odm/v1.3}"


@pytest.fixture
async def trial(stage: Stage) -> Stage:
    await two_sites(stage)
    return stage


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    folder = files("odmlib") / "schemas" / "odm" / "1.3.2"
    return etree.XMLSchema(etree.parse(str(folder / "ODM1-3-2.xsd")))


async def test_tmp(trial, schema, tmp_path):
    await export_bundle(trial.db, tmp_path / "out", formats=["csv", "odm", "dataset-json"], now=FRIDAY)
    import shutil

    shutil.copytree(tmp_path / "out", "/tmp/cdisc-out", dirs_exist_ok=True)
    schema.assertValid(etree.parse(tmp_path / "out" / "odm" / "daybook.xml"))
