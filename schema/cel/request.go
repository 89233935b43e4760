package cel

import apicel "k8s.io/apiserver/pkg/cel"

type types = map[string]*apicel.DeclType

var (
	stringType = apicel.StringType
	stringsOf  = apicel.NewListType(apicel.StringType, -1)
	textByKey  = apicel.NewMapType(apicel.StringType, apicel.StringType, -1)
)

// requestType is the type of request: an AdmissionRequest without uid, object and oldObject.
func requestType() *apicel.DeclType {
	kind := objectType("kubernetes.GroupVersionKind", types{"group": stringType, "version": stringType, "kind": stringType})
	resource := objectType("kubernetes.GroupVersionResource", types{"group": stringType, "version": stringType, "resource": stringType})
	return objectType("kubernetes.AdmissionRequest", types{
		"kind": kind, "resource": resource, "subResource": stringType,
		"requestKind": kind, "requestResource": resource, "requestSubResource": stringType,
		"name": stringType, "namespace": stringType, "operation": stringType, "dryRun": apicel.BoolType, "options": apicel.DynType,
		"userInfo": objectType("kubernetes.UserInfo", types{
			"username": stringType, "uid": stringType, "groups": stringsOf, "extra": apicel.NewMapType(stringType, stringsOf, -1),
		}),
	})
}

// namespaceType is the type of namespaceObject: a Namespace without managed fields and owners.
func namespaceType() *apicel.DeclType {
	return objectType("kubernetes.Namespace", types{
		"metadata": objectType("kubernetes.NamespaceMetadata", types{
			"name": stringType, "generateName": stringType, "namespace": stringType, "labels": textByKey, "annotations": textByKey,
			"UID": stringType, "resourceVersion": stringType, "generation": apicel.IntType, "finalizers": stringsOf,
			"creationTimestamp": apicel.TimestampType, "deletionTimestamp": apicel.TimestampType, "deletionGracePeriodSeconds": apicel.IntType,
		}),
		"spec": objectType("kubernetes.NamespaceSpec", types{"finalizers": stringsOf}),
		"status": objectType("kubernetes.NamespaceStatus", types{
			"phase": stringType,
			"conditions": apicel.NewListType(objectType("kubernetes.NamespaceCondition", types{
				"type": stringType, "status": stringType, "reason": stringType, "message": stringType, "lastTransitionTime": apicel.TimestampType,
			}), -1),
		}),
	})
}
