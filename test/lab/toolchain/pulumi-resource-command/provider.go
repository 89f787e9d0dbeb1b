package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// commandType is the only resource type served.
const commandType = "command:local:Command"

// schema names the package and its one resource; property details are in the official SDK's typings.
const schema = `{"name":"command","version":"` + version + `","resources":{"` + commandType + `":{}}}`

// commandProvider answers the engine. It holds no state of its own: each request carries all that is needed, so any
// number of them run at once.
type commandProvider struct {
	pulumirpc.UnimplementedResourceProviderServer
	host *provider.HostClient
	// cancelled ends every command once the engine asks for cancellation.
	cancelled context.Context
	cancel    context.CancelFunc
}

func newCommandProvider(host *provider.HostClient) *commandProvider {
	cancelled, cancel := context.WithCancel(context.Background())
	return &commandProvider{host: host, cancelled: cancelled, cancel: cancel}
}

func (p *commandProvider) Handshake(
	context.Context, *pulumirpc.ProviderHandshakeRequest,
) (*pulumirpc.ProviderHandshakeResponse, error) {
	return &pulumirpc.ProviderHandshakeResponse{AcceptSecrets: true}, nil
}

func (p *commandProvider) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: version}, nil
}

func (p *commandProvider) GetSchema(
	context.Context, *pulumirpc.GetSchemaRequest,
) (*pulumirpc.GetSchemaResponse, error) {
	return &pulumirpc.GetSchemaResponse{Schema: schema}, nil
}

func (p *commandProvider) CheckConfig(
	_ context.Context, request *pulumirpc.CheckRequest,
) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: request.GetNews()}, nil
}

func (p *commandProvider) DiffConfig(context.Context, *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}, nil
}

func (p *commandProvider) Configure(
	context.Context, *pulumirpc.ConfigureRequest,
) (*pulumirpc.ConfigureResponse, error) {
	return &pulumirpc.ConfigureResponse{AcceptSecrets: true, SupportsPreview: true}, nil
}

func (p *commandProvider) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	p.cancel()
	return &emptypb.Empty{}, nil
}

// Check names inputs that the resource does not have or that have the wrong type; there are no defaults.
func (p *commandProvider) Check(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	if err := requireCommandType(request.GetUrn()); err != nil {
		return nil, err
	}
	inputs, err := unmarshal(request.GetNews())
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CheckResponse{Inputs: request.GetNews(), Failures: checkInputs(inputs)}, nil
}

// Diff compares the inputs of the last run with those of this one.
func (p *commandProvider) Diff(_ context.Context, request *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	state, err := unmarshal(request.GetOlds())
	if err != nil {
		return nil, err
	}
	old, err := unmarshal(request.GetOldInputs())
	if err != nil {
		return nil, err
	}
	inputs, err := unmarshal(request.GetNews())
	if err != nil {
		return nil, err
	}
	return diffInputs(old, comparable(inputs, state, request.GetIgnoreChanges())), nil
}

// Create runs `create`, if there is one; a preview runs nothing (local/commandController.go).
func (p *commandProvider) Create(
	ctx context.Context, request *pulumirpc.CreateRequest,
) (*pulumirpc.CreateResponse, error) {
	urn := resource.URN(request.GetUrn())
	id, err := resource.NewUniqueHex(urn.Name(), 8, 0)
	if err != nil {
		return nil, err
	}
	properties, err := unmarshal(request.GetProperties())
	if err != nil {
		return nil, err
	}
	var inputs commandInputs
	if err := decode(properties, &inputs); err != nil {
		return nil, fmt.Errorf("invalid inputs: %w", err)
	}
	var printed output
	if !request.GetPreview() {
		printed, err = p.run(ctx, urn, request.GetTimeout(), inputs.Create, inputs, output{})
		if err != nil {
			return nil, err
		}
	}
	state, err := marshal(stateOf(properties, printed, request.GetPreview()))
	return &pulumirpc.CreateResponse{Id: id, Properties: state}, err
}

// Update runs `update`, or `create` where there is none; with neither, the earlier output is kept.
func (p *commandProvider) Update(
	ctx context.Context, request *pulumirpc.UpdateRequest,
) (*pulumirpc.UpdateResponse, error) {
	old, err := unmarshal(request.GetOlds())
	if err != nil {
		return nil, err
	}
	properties, err := unmarshal(request.GetNews())
	if err != nil {
		return nil, err
	}
	properties = keepIgnored(properties, old, request.GetIgnoreChanges())
	_, printed, err := decodeState(old)
	if err != nil {
		return nil, err
	}
	var inputs commandInputs
	if err := decode(properties, &inputs); err != nil {
		return nil, err
	}
	unknown := false
	if request.GetPreview() {
		unknown = changes(old, properties)
	} else {
		command := inputs.Update
		if command == nil {
			command = inputs.Create
		}
		urn := resource.URN(request.GetUrn())
		printed, err = p.run(ctx, urn, request.GetTimeout(), command, inputs, printed)
		if err != nil {
			return nil, err
		}
	}
	updated, err := marshal(stateOf(properties, printed, unknown))
	return &pulumirpc.UpdateResponse{Properties: updated}, err
}

// Delete runs `delete` as it stands in the state, if there is one.
func (p *commandProvider) Delete(ctx context.Context, request *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	old, err := unmarshal(request.GetProperties())
	if err != nil {
		return nil, err
	}
	inputs, printed, err := decodeState(old)
	if err != nil {
		return nil, err
	}
	urn := resource.URN(request.GetUrn())
	_, err = p.run(ctx, urn, request.GetTimeout(), inputs.Delete, inputs, printed)
	return &emptypb.Empty{}, err
}

// Read returns the state as it is: the resource has nothing that could be read back.
func (p *commandProvider) Read(_ context.Context, request *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	return &pulumirpc.ReadResponse{
		Id: request.GetId(), Properties: request.GetProperties(), Inputs: request.GetInputs(),
	}, nil
}

// run runs a command, if there is one, until the resource's custom timeout (whole seconds, 0 is none) or the engine's
// cancellation ends it (pulumi-go-provider v1.3.0 middleware/cancel/cancel.go).
func (p *commandProvider) run(
	ctx context.Context, urn resource.URN, seconds float64, command *string, inputs commandInputs, previous output,
) (output, error) {
	if command == nil {
		return previous, nil
	}
	bounded, cancel := context.WithCancel(ctx)
	if seconds != 0 {
		bounded, cancel = context.WithTimeout(ctx, time.Second*time.Duration(seconds))
	}
	defer cancel()
	defer context.AfterFunc(p.cancelled, cancel)()
	return run(bounded, *command, inputs, previous, func(line string) {
		_ = p.host.LogStatus(ctx, diag.Info, urn, line)
	})
}

func requireCommandType(urn string) error {
	if got := string(resource.URN(urn).Type()); !strings.EqualFold(got, commandType) {
		return status.Error(codes.Unimplemented, fmt.Sprintf(
			"resource type %q is not in this stand-in for the command provider - use %s, or install the official provider",
			got, commandType))
	}
	return nil
}
