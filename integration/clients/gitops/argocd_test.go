package gitops

// The parts of Argo CD's schemas.
const (
	argoSource = `
repoURL: {type: string}
path: {type: string}
targetRevision: {type: string}
chart: {type: string}
name: {type: string}
ref: {type: string}
directory: {type: object, properties: {exclude: {type: string}, include: {type: string}, recurse: {type: boolean}, jsonnet: {type: object, properties: {libs: {type: array, items: {type: string}},
  extVars: &vars {type: array, items: {type: object, required: [name, value], properties: {code: {type: boolean}, name: {type: string}, value: {type: string}}}}, tlas: *vars}}}}
helm:
  type: object
  properties:
    fileParameters: {type: array, items: {type: object, properties: {name: {type: string}, path: {type: string}}}}
    parameters: {type: array, items: {type: object, properties: {forceString: {type: boolean}, name: {type: string}, value: {type: string}}}}
    apiVersions: {type: array, items: {type: string}}
    valueFiles: {type: array, items: {type: string}}
    ignoreMissingValueFiles: {type: boolean}
    kubeVersion: {type: string}
    namespace: {type: string}
    passCredentials: {type: boolean}
    releaseName: {type: string}
    skipCrds: {type: boolean}
    skipSchemaValidation: {type: boolean}
    skipTests: {type: boolean}
    values: {type: string}
    valuesObject: {type: object, x-kubernetes-preserve-unknown-fields: true}
    version: {type: string}
kustomize:
  type: object
  properties:
    apiVersions: {type: array, items: {type: string}}
    commonAnnotations: {type: object, additionalProperties: {type: string}}
    commonLabels: {type: object, additionalProperties: {type: string}}
    components: {type: array, items: {type: string}}
    forceCommonAnnotations: {type: boolean}
    forceCommonLabels: {type: boolean}
    images: {type: array, items: {type: string}}
    labelWithoutSelector: {type: boolean}
    namePrefix: {type: string}
    nameSuffix: {type: string}
    namespace: {type: string}
    patches: {type: array, items: {type: object, properties: {options: {type: object, additionalProperties: {type: boolean}}, patch: {type: string}, path: {type: string},
      target: {type: object, properties: {annotationSelector: {type: string}, group: {type: string}, kind: {type: string}, labelSelector: {type: string}, name: {type: string}, namespace: {type: string}, version: {type: string}}}}}}
    replicas: {type: array, items: {type: object, required: [count, name], properties: {count: {anyOf: [{type: integer}, {type: string}], x-kubernetes-int-or-string: true}, name: {type: string}}}}
    version: {type: string}
plugin: {type: object, properties: {name: {type: string}, env: {type: array, items: {type: object, required: [name, value], properties: {name: {type: string}, value: {type: string}}}},
  parameters: {type: array, items: {type: object, properties: {array: {type: array, items: {type: string}}, map: {type: object, additionalProperties: {type: string}}, name: {type: string}, string: {type: string}}}}}}
`
	argoSpec = `
project: {type: string}
revisionHistoryLimit: {type: integer, format: int64}
destination: {type: object, properties: {name: {type: string}, namespace: {type: string}, server: {type: string}}}
ignoreDifferences: {type: array, items: {type: object, required: [kind], properties: {group: {type: string}, jqPathExpressions: {type: array, items: {type: string}},
  jsonPointers: {type: array, items: {type: string}}, kind: {type: string}, managedFieldsManagers: {type: array, items: {type: string}}, name: {type: string}, namespace: {type: string}}}}
info: {type: array, items: {type: object, required: [name, value], properties: {name: {type: string}, value: {type: string}}}}
syncPolicy:
  type: object
  properties:
    automated: {type: object, properties: {allowEmpty: {type: boolean}, enabled: {type: boolean}, prune: {type: boolean}, selfHeal: {type: boolean}}}
    managedNamespaceMetadata: {type: object, properties: {annotations: {type: object, additionalProperties: {type: string}}, labels: {type: object, additionalProperties: {type: string}}}}
    retry: {type: object, properties: {limit: {type: integer, format: int64}, refresh: {type: boolean}, backoff: {type: object, properties: {duration: {type: string}, factor: {type: integer, format: int64}, maxDuration: {type: string}}}}}
    syncOptions: {type: array, items: {type: string}}
`
	argoStatus = `
health: {type: object, properties: {lastTransitionTime: {type: string, format: date-time}, message: {type: string}, status: {type: string}}}
reconciledAt: {type: string, format: date-time}
sourceType: {type: string}
conditions: {type: array, items: {type: object, required: [message, type], properties: {lastTransitionTime: {type: string, format: date-time}, message: {type: string}, type: {type: string}}}}
resources: {type: array, items: {type: object, properties: {group: {type: string}, kind: {type: string}, name: {type: string}, namespace: {type: string}, status: {type: string}, syncWave: {type: integer, format: int64}, version: {type: string}}}}
summary: {type: object, properties: {externalURLs: {type: array, items: {type: string}}, images: {type: array, items: {type: string}}}}
`
	argoSelector = `
matchExpressions: {type: array, items: {type: object, required: [key, operator], properties: {key: {type: string}, operator: {type: string}, values: {type: array, items: {type: string}}}}}
matchLabels: {type: object, additionalProperties: {type: string}}
`
)

// argocdKinds have the names, columns and size of Argo CD's own kinds: that of ApplicationSets is more than an annotation holds.
func argocdKinds() []kind {
	source := object(parse(argoSource))
	spec := with(parse(argoSpec), "source", source, "sources", list(source), "sourceHydrator", object(map[string]any{"drySource": source, "syncSource": source}))
	sync := object(with(parse("status: {type: string}\nrevision: {type: string}\nrevisions: {type: array, items: {type: string}}\n"),
		"comparedTo", object(map[string]any{"source": source, "sources": list(source), "destination": spec["destination"]})))
	operation := object(with(parse("prune: {type: boolean}\nrevision: {type: string}\ndryRun: {type: boolean}\nsyncOptions: {type: array, items: {type: string}}\n"), "source", source, "sources", list(source)))
	status := with(parse(argoStatus), "sync", sync, "history", list(object(map[string]any{"source": source, "sources": list(source), "revision": map[string]any{"type": "string"}})),
		"operationState", object(map[string]any{"operation": operation, "phase": map[string]any{"type": "string"}, "syncResult": object(map[string]any{"source": source})}))
	application := kind{
		group: "argoproj.io", name: "Application", plural: "applications", short: []string{"app", "apps"}, versions: []string{"v1alpha1"}, noStatus: true,
		columns: []string{"Sync Status", ".status.sync.status", "Health Status", ".status.health.status", "Revision", ".status.sync.revision", "Project", ".spec.project"},
		schema:  map[string]any{"metadata": map[string]any{"type": "object"}, "operation": operation, "spec": object(spec), "status": object(status)},
		labels:  map[string]any{"app.kubernetes.io/name": "applications.argoproj.io", "app.kubernetes.io/part-of": "argocd"},
	}
	metadata := object(parse("annotations: {type: object, additionalProperties: {type: string}}\nfinalizers: {type: array, items: {type: string}}\nlabels: {type: object, additionalProperties: {type: string}}\n" +
		"name: {type: string}\nnamespace: {type: string}\n"))
	template := object(map[string]any{"metadata": metadata, "spec": object(spec)})
	unknown := map[string]any{"x-kubernetes-preserve-unknown-fields": true}
	leaf := func(text string) map[string]any { return object(with(parse(text), "template", template)) }
	generators := map[string]any{
		"list":     leaf("elements: {type: array, items: {x-kubernetes-preserve-unknown-fields: true}}\nelementsYaml: {type: string}\n"),
		"clusters": object(with(parse("values: {type: object, additionalProperties: {type: string}}\n"), "selector", object(parse(argoSelector)), "template", template)),
		"git": leaf("repoURL: {type: string}\nrevision: {type: string}\nrequeueAfterSeconds: {type: integer, format: int64}\n" +
			"directories: {type: array, items: {type: object, required: [path], properties: {exclude: {type: boolean}, path: {type: string}}}}\nfiles: {type: array, items: {type: object, required: [path], properties: {path: {type: string}}}}\n"),
		"scmProvider":             leaf("github: {type: object, properties: {organization: {type: string}, api: {type: string}, allBranches: {type: boolean}}}\ncloneProtocol: {type: string}\n"),
		"clusterDecisionResource": leaf("configMapRef: {type: string}\nname: {type: string}\n"),
		"pullRequest":             leaf("github: {type: object, properties: {owner: {type: string}, repo: {type: string}, labels: {type: array, items: {type: string}}}}\nrequeueAfterSeconds: {type: integer, format: int64}\n"),
		"plugin":                  leaf("configMapRef: {type: object, required: [name], properties: {name: {type: string}}}\nrequeueAfterSeconds: {type: integer, format: int64}\n"),
	}
	nested := func(inner map[string]any) map[string]any {
		return with(generators, "selector", object(parse(argoSelector)), "matrix", object(map[string]any{"generators": list(object(inner)), "template": template}),
			"merge", object(map[string]any{"generators": list(object(inner)), "mergeKeys": list(map[string]any{"type": "string"}), "template": template}))
	}
	set := kind{
		group: "argoproj.io", name: "ApplicationSet", plural: "applicationsets", short: []string{"appset", "appsets"}, versions: []string{"v1alpha1"},
		schema: map[string]any{
			"metadata": map[string]any{"type": "object"},
			"spec": object(map[string]any{
				"goTemplate": map[string]any{"type": "boolean"}, "goTemplateOptions": list(map[string]any{"type": "string"}), "generators": list(object(nested(with(generators, "matrix", unknown, "merge", unknown)))),
				"template": template, "strategy": object(parse("type: {type: string}\nrollingSync: {type: object, x-kubernetes-preserve-unknown-fields: true}\n")),
			}),
			"status": object(parse("conditions: {type: array, items: {type: object, required: [message, reason, status, type], properties: {lastTransitionTime: {type: string, format: date-time}, message: {type: string}, reason: {type: string}, status: {type: string}, type: {type: string}}}}\n")),
		},
	}
	group := list(object(parse("group: {type: string}\nkind: {type: string}\n")))
	project := kind{
		group: "argoproj.io", name: "AppProject", plural: "appprojects", short: []string{"appproj", "appprojs"}, versions: []string{"v1alpha1"}, noStatus: true,
		schema: map[string]any{"metadata": map[string]any{"type": "object"}, "spec": object(with(
			parse("description: {type: string}\nsourceRepos: {type: array, items: {type: string}}\nroles: {type: array, items: {type: object, required: [name], properties: {name: {type: string}, policies: {type: array, items: {type: string}}}}}\n"),
			"clusterResourceWhitelist", group, "namespaceResourceBlacklist", group, "destinations", list(spec["destination"].(map[string]any))))},
	}
	return []kind{application, set, project}
}
