# SPDX-License-Identifier: ISC
"""Helpers of the end-to-end tests: see harness.py first."""
