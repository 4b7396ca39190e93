// Package perchtest is for tests of gateways, and of what stands around them.
package perchtest
