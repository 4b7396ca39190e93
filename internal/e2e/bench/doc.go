// Package bench is what the programs share that measure others side by side, clientbench and serverbench: a core for
// each process, a machine that nobody else uses meanwhile, medians and how they are written.
package bench
