// A behaviour is a test of one client on one way to the server: an async function of a Cell, under its name in the
// tables of this directory.
import { server } from "../support.mjs";

/** The profile client of the conformance server, and the lab (lab_test.go). */
export const CLIENT = server("PERCH_CLIENT_URL");
export const LAB = server("PERCH_LAB_URL");

/** For clients that are able to. */
export const needs = (ability, fn) => Object.assign(fn, { ability });
/** For clients that are not. */
export const lacks = (ability, fn) => Object.assign(fn, { lacking: ability });
/** For some ways to the server. */
export const over = (ways, fn) => Object.assign(fn, { ways });

export const applies = ({ ability, lacking, ways }, { can }, way) =>
  (!ability || can.has(ability)) && (!lacking || !can.has(lacking)) && (!ways || ways.includes(way));
