package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// commandType is the only resource type served.
const commandType = "command:remote:Command"

// schema names the package and its one resource; property details are in the official SDK's typings.
const schema = `{"name":"command","version":"` + version + `","resources":{"` + commandType + `":{}}}`

// commandProvider answers the engine. It holds no state of its own: each request carries all that is needed, so any
// number of them run at once.
type commandProvider struct {
	pulumirpc.UnimplementedResourceProviderServer
	host *provider.HostClient
	// cancelled ends every wait between two dial attempts once the engine asks for cancellation.
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

// Check fills in the connection's defaults and refuses fields that the resource does not have.
func (p *commandProvider) Check(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	if err := requireCommandType(request.GetUrn()); err != nil {
		return nil, err
	}
	inputs, err := unmarshal(request.GetNews())
	if err != nil {
		return nil, err
	}
	checked, failures := checkInputs(inputs)
	marshalled, err := marshal(checked)
	return &pulumirpc.CheckResponse{Inputs: marshalled, Failures: failures}, err
}

// Diff reports a replacement for a change of `triggers` and an update in place for any other change.
func (p *commandProvider) Diff(_ context.Context, request *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	plain := plugin.MarshalOptions{KeepUnknowns: true, SkipNulls: true}
	old, err := plugin.UnmarshalProperties(request.GetOldInputs(), plain)
	if err != nil {
		return nil, err
	}
	news, err := plugin.UnmarshalProperties(request.GetNews(), plain)
	if err != nil {
		return nil, err
	}
	return diffInputs(old, news), nil
}

// Create runs `create`; a preview dials nothing.
func (p *commandProvider) Create(
	ctx context.Context, request *pulumirpc.CreateRequest,
) (*pulumirpc.CreateResponse, error) {
	urn := resource.URN(request.GetUrn())
	id, err := resource.NewUniqueHex(urn.Name(), 8, 0)
	if err != nil {
		return nil, err
	}
	inputs, err := unmarshal(request.GetProperties())
	if err != nil {
		return nil, err
	}
	result := output{}
	if !request.GetPreview() {
		ctx, stop := p.deadline(ctx, request.GetTimeout())
		defer stop()
		result, err = p.run(ctx, urn, inputs, inputs["create"], output{})
		if err != nil {
			return nil, err
		}
	}
	properties, err := marshal(outputsOf(inputs, result, request.GetPreview()))
	return &pulumirpc.CreateResponse{Id: id, Properties: properties}, err
}

// Update runs `update`, or `create` where there is none; with neither, the earlier output is kept.
func (p *commandProvider) Update(
	ctx context.Context, request *pulumirpc.UpdateRequest,
) (*pulumirpc.UpdateResponse, error) {
	state, err := unmarshal(request.GetOlds())
	if err != nil {
		return nil, err
	}
	inputs, err := unmarshal(request.GetNews())
	if err != nil {
		return nil, err
	}
	result, unknown := outputIn(state), false
	if request.GetPreview() {
		unknown = changed(state, inputs, "create") || changed(state, inputs, "update")
	} else {
		command, ok := inputs["update"]
		if !ok {
			command = inputs["create"]
		}
		ctx, stop := p.deadline(ctx, request.GetTimeout())
		defer stop()
		result, err = p.run(ctx, resource.URN(request.GetUrn()), inputs, command, result)
		if err != nil {
			return nil, err
		}
	}
	properties, err := marshal(outputsOf(inputs, result, unknown))
	return &pulumirpc.UpdateResponse{Properties: properties}, err
}

// Delete runs `delete` as it stands in the state, over the connection in the state; without one it dials nothing.
func (p *commandProvider) Delete(ctx context.Context, request *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	state, err := unmarshal(request.GetProperties())
	if err != nil {
		return nil, err
	}
	ctx, stop := p.deadline(ctx, request.GetTimeout())
	defer stop()
	_, err = p.run(ctx, resource.URN(request.GetUrn()), state, state["delete"], outputIn(state))
	return &emptypb.Empty{}, err
}

// Read returns the state as it is: the resource has nothing that could be read back.
func (p *commandProvider) Read(_ context.Context, request *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	return &pulumirpc.ReadResponse{
		Id: request.GetId(), Properties: request.GetProperties(), Inputs: request.GetInputs(),
	}, nil
}

// deadline bounds ctx by the resource's custom timeout (seconds, 0 is none) and by the engine's cancellation.
func (p *commandProvider) deadline(ctx context.Context, seconds float64) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(p.cancelled, cancel)
	if seconds <= 0 {
		return ctx, func() { stop(); cancel() }
	}
	bounded, cancelBounded := context.WithTimeout(ctx, time.Duration(seconds*float64(time.Second)))
	return bounded, func() { cancelBounded(); stop(); cancel() }
}

func requireCommandType(urn string) error {
	if got := string(resource.URN(urn).Type()); !strings.EqualFold(got, commandType) {
		return status.Error(codes.Unimplemented, fmt.Sprintf(
			"resource type %q is not in this stand-in for the command provider - use %s, or install the official provider",
			got, commandType))
	}
	return nil
}

func unmarshal(properties *structpb.Struct) (resource.PropertyMap, error) {
	return plugin.UnmarshalProperties(properties, plugin.MarshalOptions{
		KeepUnknowns: true, KeepSecrets: true, SkipNulls: true,
	})
}

func marshal(properties resource.PropertyMap) (*structpb.Struct, error) {
	return plugin.MarshalProperties(properties, plugin.MarshalOptions{
		KeepUnknowns: true, KeepSecrets: true, SkipNulls: true,
	})
}
