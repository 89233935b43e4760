package schema

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

// Unset is what a cell shows where there is nothing to show.
const Unset = "<none>"

// NameColumn is the column of an object's name.
func NameColumn() metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]}
}

// AgeColumn is the column of the time since an object was created.
func AgeColumn() metav1.TableColumnDefinition {
	return TextColumn("Age", metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"])
}

// TextColumn is a column of strings.
func TextColumn(name, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "string", Description: description}
}

// NumberColumn is a column of integers; its cells are int64.
func NumberColumn(name, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "integer", Description: description}
}

// WideColumn is a TextColumn that only a wide table shows.
func WideColumn(name, description string) metav1.TableColumnDefinition {
	c := TextColumn(name, description)
	c.Priority = 1
	return c
}

// Age is the time from t to now as kubectl writes it: "5m", "3d4h".
func Age(t, now metav1.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(t.Time))
}

// OrUnset is text, or Unset where that is empty.
func OrUnset(text string) string {
	if text == "" {
		return Unset
	}
	return text
}
