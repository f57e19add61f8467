// Prints what clientcmd, which kubectl is made of, makes of the kubeconfig that the environment names: the context, as
// "kubectl config view --raw --minify -o json" shows it, and what a client would then use. Argument: [CONTEXT].
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/tools/clientcmd/api/latest"
	"sigs.k8s.io/yaml"
)

func main() {
	overrides := &clientcmd.ConfigOverrides{}
	if len(os.Args) > 1 {
		overrides.CurrentContext = os.Args[1]
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	config := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	answer, err := describe(config, overrides.CurrentContext)
	if err != nil {
		answer = map[string]any{"error": err.Error()}
	}
	text, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(string(text))
}

func describe(config clientcmd.ClientConfig, context string) (map[string]any, error) {
	raw, err := config.RawConfig()
	if err != nil {
		return nil, err
	}
	if context != "" {
		raw.CurrentContext = context
	}
	if err := clientcmdapi.MinifyConfig(&raw); err != nil {
		return nil, err
	}
	text, err := runtime.Encode(latest.Codec, &raw)
	if err != nil {
		return nil, err
	}
	minified, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	rest, err := config.ClientConfig()
	if err != nil {
		return nil, err
	}
	namespace, _, err := config.Namespace()
	if err != nil {
		return nil, err
	}
	answer := map[string]any{
		"minified":   json.RawMessage(minified),
		"host":       rest.Host,
		"namespace":  namespace,
		"token":      rest.BearerToken,
		"tokenFile":  rest.BearerTokenFile,
		"username":   rest.Username,
		"password":   rest.Password,
		"insecure":   rest.TLSClientConfig.Insecure,
		"serverName": rest.TLSClientConfig.ServerName,
		"as":         rest.Impersonate.UserName,
		"asGroups":   rest.Impersonate.Groups,
		"asUid":      rest.Impersonate.UID,
		"asExtra":    rest.Impersonate.Extra,
		"caFile":     rest.TLSClientConfig.CAFile,
		"caData":     rest.TLSClientConfig.CAData,
		"certFile":   rest.TLSClientConfig.CertFile,
		"certData":   rest.TLSClientConfig.CertData,
		"keyFile":    rest.TLSClientConfig.KeyFile,
		"keyData":    rest.TLSClientConfig.KeyData,
	}
	if rest.ExecProvider != nil {
		exec := rest.ExecProvider
		answer["exec"] = map[string]any{
			"apiVersion":      exec.APIVersion,
			"command":         exec.Command,
			"args":            exec.Args,
			"env":             exec.Env,
			"installHint":     exec.InstallHint,
			"wantsCluster":    exec.ProvideClusterInfo,
			"interactiveMode": exec.InteractiveMode,
			"config":          exec.Config,
		}
	}
	return answer, nil
}
