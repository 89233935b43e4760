package schema

import "time"

// isTyped tells that metadata has the types and the form of ObjectMeta already, as most has: it would not be changed by being converted to it and
// back, which takes ten times as long. false: it is not, or that is not clear.
func isTyped(metadata map[string]any) bool {
	for name, value := range metadata {
		typed := false
		switch name {
		case "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion":
			typed = isText(value)
		case "generation":
			n, is := value.(int64)
			typed = is && n != 0
		case "creationTimestamp":
			typed = isTime(value)
		case "labels", "annotations":
			typed = isTexts(value)
		case "finalizers":
			typed = each(value, isAnyText)
		case "ownerReferences":
			typed = each(value, isOwner)
		case "managedFields":
			typed = each(value, isFieldsEntry)
		}
		if !typed {
			return false
		}
	}
	return len(metadata) > 0
}

// isText tells that a value is a text; an empty one is left out where metadata is written.
func isText(value any) bool {
	text, is := value.(string)
	return is && text != ""
}

func isAnyText(value any) bool {
	_, is := value.(string)
	return is
}

// isTime tells that a value is a time as metadata has it: in seconds of UTC.
func isTime(value any) bool {
	text, _ := value.(string)
	if len(text) != len("2006-01-02T15:04:05Z") {
		return false
	}
	at, err := time.Parse(time.RFC3339, text)
	return err == nil && at.Year() > 1 && at.UTC().Format(time.RFC3339) == text
}

func isTexts(value any) bool {
	texts, is := value.(map[string]any)
	for _, text := range texts {
		if !isAnyText(text) {
			return false
		}
	}
	return is && len(texts) > 0
}

// each tells that a value is a list of elements that are as is wants them.
func each(value any, is func(any) bool) bool {
	list, isList := value.([]any)
	for _, e := range list {
		if !is(e) {
			return false
		}
	}
	return isList && len(list) > 0
}

func isOwner(value any) bool {
	members, _ := value.(map[string]any)
	required := 0
	for name, value := range members {
		switch name {
		case "apiVersion", "kind", "name", "uid":
			if !isAnyText(value) {
				return false
			}
			required++
		case "controller", "blockOwnerDeletion":
			if _, is := value.(bool); !is {
				return false
			}
		default:
			return false
		}
	}
	return required == 4
}

func isFieldsEntry(value any) bool {
	members, is := value.(map[string]any)
	for name, value := range members {
		typed := false
		switch name {
		case "manager", "operation", "apiVersion", "fieldsType", "subresource":
			typed = isText(value)
		case "time":
			typed = isTime(value)
		case "fieldsV1":
			_, object := value.(map[string]any)
			typed = object && isPlainJSON(value, 0)
		}
		if !typed {
			return false
		}
	}
	return is
}
