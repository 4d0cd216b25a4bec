"""Suites that a fake and the real thing both have to pass: what makes a fake worth trusting.

A test module makes a class of a suite and gives it the fixture the suite names:

    class TestFakeBus(BusConformance):
        @pytest.fixture
        def bus(self): return FakeBus(SUITE_TOPOLOGY)
"""
