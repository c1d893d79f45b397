import pytest

from diary import SYSTEM
from diary.enrolment import add_patient, patient_id_of
from diary.joining import record_consent
from diary.team import add_site, list_sites
from tests.cast import START, T0, Stage
from tests.reports.diary_of import three_days


@pytest.fixture
async def amina(stage: Stage):
    """P-001 of the main clinic, with the worked example in her diary."""
    patient = await stage.joined()
    await three_days(stage, patient.id)
    return patient


@pytest.fixture
async def elsewhere(stage: Stage) -> frozenset[int]:
    """A second clinic with one patient, P-900, who has agreed and never answers; its id as a scope."""
    await add_site(stage.db, code="coast", name="Coast clinic", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    await add_patient(
        stage.db,
        code="P-900",
        start=START,
        site="coast",
        protocol_id=stage.protocol_id,
        timezone=None,
        language="ar",
        actor=SYSTEM,
        now=T0,
    )
    patient_id = await patient_id_of(stage.db, "P-900")
    await record_consent(stage.db, patient_id=patient_id, agreed=True, language="ar", text="text", now=T0)
    return frozenset(site.id for site in await list_sites(stage.db) if site.code == "coast")
