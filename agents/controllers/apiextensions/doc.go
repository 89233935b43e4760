// Package apiextensions has the controller of CustomResourceDefinitions: the names and conditions in their status, and the removal of their
// objects with them.
package apiextensions
